import type { Analysis, TextFacts } from '../../sql/analysis.js';
import { Fifo } from '../../util/fifo.js';
import type { PreparedStatement } from './prepared.js';
import { UnitNote } from './unit-note.js';

/** A message of the client that was sent and whose reply has not come. Names are bytes, one character each. */
export type SentRequest =
  | { readonly kind: 'parse'; readonly statement: PreparedStatement; readonly facts: TextFacts }
  /** Null names: too large to be read. */
  | { readonly kind: 'bind'; readonly portal: string | null; readonly statement: string | null }
  | { readonly kind: 'execute'; readonly portal: string | null }
  | { readonly kind: 'close_statement'; readonly name: string }
  | { readonly kind: 'close_unread' }
  | { readonly kind: 'close_portal' }
  /** `at`: the statement whose end is awaited. */
  | { readonly kind: 'query'; readonly analysis: Analysis; readonly facts: TextFacts; at: number }
  | { readonly kind: 'function_call' }
  | { readonly kind: 'sync' };

/** The commonest ones, made once. */
export const bindUnnamed: SentRequest = { kind: 'bind', portal: '', statement: '' };
export const bindUnread: SentRequest = { kind: 'bind', portal: null, statement: null };
export const executeUnnamed: SentRequest = { kind: 'execute', portal: '' };
export const functionCall: SentRequest = { kind: 'function_call' };
export const sync: SentRequest = { kind: 'sync' };

/** What the client has sent and has not been answered, in order, and the units it makes up. */
export class SentRequests {
  readonly #requests = new Fifo<SentRequest>();
  readonly #units = new Fifo<UnitNote>();
  /** The last unit is still being sent. */
  #isUnitOpen = false;
  /** After an error in the extended protocol: the backend leaves everything out until the Sync, which is still to come. */
  #isSkipping = false;
  #unitsEnded = 0;
  readonly #onDropped: (request: SentRequest) => void;

  /** `onDropped` hears of requests that will not be answered. */
  constructor(onDropped: (request: SentRequest) => void) {
    this.#onDropped = onDropped;
  }

  /** Units that were sent at least in part and have not ended, oldest first. */
  get units(): readonly UnitNote[] {
    return this.#units.toArray();
  }

  get unitCount(): number {
    return this.#units.length;
  }

  get oldestUnit(): UnitNote | undefined {
    return this.#units.first;
  }

  /** How many units have ended since the session began; with `unitCount`, a number for each unit. */
  get unitsEnded(): number {
    return this.#unitsEnded;
  }

  /** The unit that the next message belongs to. */
  get openUnit(): UnitNote {
    const { last } = this.#units;
    if (this.#isUnitOpen && last !== undefined) return last;
    const unit = new UnitNote();
    this.#units.push(unit);
    this.#isUnitOpen = true;
    return unit;
  }

  get first(): SentRequest | undefined {
    return this.#requests.first;
  }

  add(request: SentRequest): void {
    const { kind } = request;
    if (!this.#isUnitOpen) void this.openUnit;
    if (this.#isSkipping) {
      if (kind !== 'sync') {
        this.#onDropped(request);
        return;
      }
      this.#isSkipping = false;
    }
    if (kind === 'sync' || kind === 'query' || kind === 'function_call') this.#isUnitOpen = false;
    this.#requests.push(request);
  }

  /** The first request is answered. */
  take(): void {
    this.#requests.take();
  }

  /** The first request will not be answered. */
  drop(): void {
    const { first } = this;
    if (first === undefined) return;
    this.take();
    this.#onDropped(first);
  }

  /** After an error: nothing is answered before the Sync of the unit. */
  skipToSync(): void {
    for (;;) {
      const { first } = this;
      if (first === undefined) break;
      if (first.kind === 'sync') return;
      this.drop();
    }
    this.#isSkipping = true;
  }

  /** The oldest unit has ended; gives the request that ended it. */
  takeUnit(): SentRequest | undefined {
    this.#units.take();
    this.#unitsEnded += 1;
    if (this.#units.length === 0) this.#isUnitOpen = false;
    for (;;) {
      const { first } = this;
      if (first === undefined) return undefined;
      this.drop();
      if (first.kind === 'sync' || first.kind === 'query' || first.kind === 'function_call') return first;
    }
  }

  clear(): void {
    while (this.first !== undefined) this.drop();
    this.#unitsEnded += this.#units.length;
    this.#units.clear();
    this.#isUnitOpen = false;
    this.#isSkipping = false;
  }
}
