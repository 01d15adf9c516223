import { serialize } from 'pg-protocol';
import { Frontend, TransactionStatus } from '../protocol/codes.js';
import { NOT_READ } from '../protocol/frame-scanner.js';
import type { Replay } from '../relay/relay.js';
import { PinReason } from '../sql/pin-reason.js';
import { pinned, sessionEffects } from '../sql/session-effects.js';
import type { SessionEffects } from '../sql/session-effects.js';
import { copyFrame, PreparedStatements, readParse } from './prepared.js';

/** Most settings that are replayed; a session with more is pinned. */
const SETTINGS_MAX = 100;

/** Encodings in which a byte of a longer character can look like ASCII (documentation, "Character Set Support"). */
const UNREADABLE_ENCODINGS: ReadonlySet<string> = new Set([
  'SJIS',
  'BIG5',
  'GBK',
  'UHC',
  'GB18030',
  'JOHAB',
  'SHIFT_JIS_2004',
]);

/** What the lexer must know of the session. */
export interface TextFacts {
  readonly clientEncoding: string;
  readonly escapesInStrings: boolean;
  readonly isInTransaction: boolean;
}

/** Effects of one unit that was sent and has not ended. */
interface PendingUnit {
  readonly effects: SessionEffects[];
  hasFailed: boolean;
}

/**
 * What a session has left behind on its backend: what can be replayed elsewhere, and what cannot (the pins). Pins begin when a statement
 * is sent, everything else when its unit has succeeded.
 */
export class SessionState {
  readonly prepared: PreparedStatements;
  readonly #pins = new Set<PinReason>();
  readonly #settings = new Map<string, string>();
  /** Units sent, oldest first; the last one is still being sent when `#isUnitOpen`. */
  readonly #units: PendingUnit[] = [];
  #isUnitOpen = false;

  constructor(preparedMax: number) {
    this.prepared = new PreparedStatements(preparedMax);
  }

  /** Why the session cannot change its backend, or null when it can. */
  get pinReason(): PinReason | null {
    for (const reason of this.#pins) return reason;
    return this.prepared.isOverflowing ? PinReason.TooManyPrepared : null;
  }

  get pins(): ReadonlySet<PinReason> {
    return this.#pins;
  }

  /** A unit that was sent and has not ended begins a transaction. */
  get mayBeginTransaction(): boolean {
    return this.#units.some((unit) => unit.effects.some((effects) => effects.begins));
  }

  pin(reason: PinReason): void {
    this.#pins.add(reason);
  }

  /** Notes a message of the client that is about to be sent; the body is borrowed. */
  sent(type: number, buffer: Buffer, start: number, end: number, facts: () => TextFacts): void {
    switch (type) {
      case Frontend.Query:
        this.#note(end === NOT_READ ? null : [start, end - 1], buffer, facts, false);
        this.#endUnit(true);
        return;
      case Frontend.Parse:
        this.#noteParse(buffer, start, end, facts);
        return;
      case Frontend.Close:
        if (end !== NOT_READ && buffer[start] === 0x53)
          this.prepared.closeSent(buffer.toString('latin1', start + 1, end - 1));
        return;
      case Frontend.Sync:
      case Frontend.FunctionCall:
        this.#endUnit(false);
        return;
      default:
    }
  }

  /** An ErrorResponse came for the oldest unit. */
  failed(): void {
    const unit = this.#units[0];
    if (unit !== undefined) unit.hasFailed = true;
  }

  /** ReadyForQuery came for the oldest unit. */
  ended(status: TransactionStatus): void {
    this.prepared.unitEnded();
    if (this.#units.length === 0) return;
    const unit = this.#units.shift();
    if (this.#units.length === 0) this.#isUnitOpen = false;
    if (unit === undefined || unit.hasFailed) return;
    for (const effects of unit.effects) this.#apply(effects, unit, status);
  }

  /** Nothing is owed any more. A Sync that a COPY swallowed has left a unit that nobody will end. */
  settle(): void {
    this.#units.length = 0;
    this.#isUnitOpen = false;
  }

  /** The backend is lost with everything that was under way. */
  abandon(): void {
    this.#units.length = 0;
    this.#isUnitOpen = false;
    this.prepared.abandon();
  }

  /** Messages that bring another backend into this state; null when there is nothing to say. */
  replay(): Replay | null {
    const bytes: Buffer[] = [];
    const types: number[] = [];
    for (const sql of this.#settings.values()) {
      bytes.push(serialize.query(sql));
      types.push(Frontend.Query);
    }
    this.prepared.replay(bytes, types);
    return bytes.length === 0 ? null : { bytes: Buffer.concat(bytes), types };
  }

  #noteParse(buffer: Buffer, start: number, end: number, facts: () => TextFacts): void {
    const parse = end === NOT_READ ? null : readParse(buffer, start, end);
    this.prepared.parseSent(parse?.name ?? '', parse === null ? null : copyFrame(buffer, start, end));
    this.#note(parse === null ? null : [parse.textStart, parse.textEnd], buffer, facts, parse?.name !== '');
  }

  /** `text` is where the SQL lies, null when it was not read. A named statement may be run again at any time. */
  #note(text: readonly [number, number] | null, buffer: Buffer, facts: () => TextFacts, isNamed: boolean): void {
    const effects = this.#effects(text, buffer, facts());
    const unit = this.#openUnit();
    if (isNamed && (effects.setting !== null || effects.resets.length > 0)) this.#pins.add(PinReason.Setting);
    for (const reason of effects.pins) this.#pins.add(reason);
    unit.effects.push(effects);
  }

  #effects(text: readonly [number, number] | null, buffer: Buffer, facts: TextFacts): SessionEffects {
    if (text === null) return pinned(PinReason.StatementTooLarge);
    if (UNREADABLE_ENCODINGS.has(facts.clientEncoding)) return pinned(PinReason.ClientEncoding);
    return sessionEffects(buffer, text[0], text[1], facts.escapesInStrings, facts.isInTransaction);
  }

  #openUnit(): PendingUnit {
    const last = this.#units.at(-1);
    if (this.#isUnitOpen && last !== undefined) return last;
    const unit: PendingUnit = { effects: [], hasFailed: false };
    this.#units.push(unit);
    this.#isUnitOpen = true;
    return unit;
  }

  #endUnit(isSimpleQuery: boolean): void {
    this.#openUnit();
    this.#isUnitOpen = false;
    this.prepared.unitSent(isSimpleQuery);
  }

  #apply(effects: SessionEffects, unit: PendingUnit, status: TransactionStatus): void {
    if (effects.deallocates.length > 0) this.prepared.forget(effects.deallocates);
    const changesSettings = effects.setting !== null || effects.resets.length > 0;
    if (status !== TransactionStatus.Idle) {
      if (changesSettings) this.#pins.add(PinReason.Setting);
      return;
    }
    for (const reason of effects.unpins) {
      const isPinnedAgain =
        unit.effects.some((e) => e.pins.includes(reason)) ||
        this.#units.some((u) => u.effects.some((e) => e.pins.includes(reason)));
      if (!isPinnedAgain) this.#pins.delete(reason);
    }
    if (effects.resets === 'all') this.#settings.clear();
    else for (const name of effects.resets) this.#settings.delete(name);
    if (effects.setting === null) return;
    this.#settings.delete(effects.setting.name);
    if (this.#settings.size >= SETTINGS_MAX) this.#pins.add(PinReason.Setting);
    else this.#settings.set(effects.setting.name, effects.setting.sql);
  }
}
