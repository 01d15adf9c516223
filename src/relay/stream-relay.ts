import { serialize } from 'pg-protocol';
import type { Backend } from '../backend/backend.js';
import type { Counters } from '../metrics/counters.js';
import type { SessionTraffic } from '../metrics/traffic.js';
import type { Wire } from '../net/wire.js';
import { Frontend, TransactionStatus } from '../protocol/codes.js';
import type { CollectTable } from '../protocol/frame-scanner.js';
import type { AbandonedRequests } from '../protocol/request-tracker.js';
import { AnswerKeeper } from './answer-keeper.js';
import { BackendSide } from './backend-side.js';
import { ClientSide } from './client-side.js';
import { Flow } from './flow.js';
import type { LostWords } from './lost-transaction.js';
import type { Relay, RelayOwner, Replay } from './relay.js';

/** Bounds of what a relay reads and keeps. */
export interface RelayLimits {
  readonly messageBytesMax: number;
  /** Most bytes of units that are kept until they have ended; 0: none are. Read anew for each message. */
  readonly replayBytesMax: () => number;
}

const syncOnly: Replay = { bytes: serialize.sync(), types: [Frontend.Sync] };

/** The relay on Node's streams. Hot path: plain calls, no allocation per message. */
export class StreamRelay implements Relay {
  readonly #wire: Wire;
  readonly #client: ClientSide;
  readonly #node: BackendSide;

  /** Takes the client's wire over; `rest` are bytes of it that were read during start-up. The client is read after `resume`. */
  constructor(
    wire: Wire,
    rest: Buffer,
    owner: RelayOwner,
    collect: CollectTable,
    limits: RelayLimits,
    counters: Counters,
    traffic: SessionTraffic,
  ) {
    const parts = { client: wire, owner, counters, traffic, flow: new Flow(wire), keeper: new AnswerKeeper() };
    this.#wire = wire;
    this.#client = new ClientSide(parts, collect, limits.messageBytesMax, limits.replayBytesMax);
    this.#node = new BackendSide(parts, this.#client);
    wire.pause();
    wire.handler = {
      onChunk: (chunk) => this.#client.onChunk(chunk),
      onDrain: () => this.#client.onDrain(),
      onEnd: () => {
        this.#client.onEnd();
        this.#client.endOrphan(this.#node.isCopyBoth);
      },
      onClose: (error) => this.#client.onClose(error),
    };
    this.#client.scanner.pause();
    if (rest.length > 0) this.#client.scanner.push(rest);
  }

  get substitutes(): boolean {
    return this.#client.substitutes;
  }

  set substitutes(value: boolean) {
    this.#client.substitutes = value;
  }

  get askAtUnit(): boolean {
    return this.#client.askAtUnit;
  }

  set askAtUnit(value: boolean) {
    this.#client.askAtUnit = value;
  }

  get backend(): Backend | null {
    return this.#client.backend;
  }

  get client(): Wire {
    return this.#wire;
  }

  get isAtBoundary(): boolean {
    return !this.#client.isUnitOpen && (this.backend === null || this.backend.isAtBoundary);
  }

  get isQuiet(): boolean {
    return this.#client.isQuiet;
  }

  get isWaiting(): boolean {
    return this.#client.isWaiting;
  }

  get isTransactionLost(): boolean {
    return this.#client.lost.isActive;
  }

  attach(backend: Backend, replay: Replay | null): void {
    this.#node.attach(backend, replay);
  }

  detach(): Backend | null {
    return this.#node.detach();
  }

  replay(replay: Replay): void {
    this.#node.replay(replay);
  }

  replayAhead(replay: Replay): void {
    this.#node.replayAhead(replay);
  }

  endUnit(): void {
    this.#client.endUnit();
    this.#node.replay(syncOnly);
  }

  cut(error: Error): void {
    this.#node.lose(error);
  }

  resume(): void {
    this.#client.resume();
  }

  rejectUnit(error: Buffer, status: TransactionStatus = TransactionStatus.Idle): void {
    this.#client.answers.rejectNext(error, status);
    this.resume();
  }

  replayUnits(): void {
    const { scanner, record } = this.#client;
    this.#client.unitOpen = false;
    scanner.unread(record.take(0));
  }

  failFirstUnit(error: Buffer, owed: AbandonedRequests, status: TransactionStatus): void {
    const { answers, record, scanner } = this.#client;
    const areOthersKept = record.length > 1 && owed.readies > 0 && this.#client.isRecordWhole(owed, 1);
    if (areOthersKept) {
      answers.fail(error, { ...owed, readies: 1, openUnit: false }, false, status);
      scanner.unread(record.take(1));
    } else {
      answers.fail(error, owed, this.#client.unitOpen, status);
      record.clear();
    }
    this.#client.unitOpen = false;
  }

  failUnits(error: Buffer, owed: AbandonedRequests): void {
    const { answers, record, unitOpen } = this.#client;
    answers.fail(error, owed, unitOpen, TransactionStatus.Idle);
    record.clear();
    this.#client.unitOpen = false;
  }

  loseTransaction(words: LostWords): void {
    this.#client.lost.begin(words);
  }

  say(messages: Buffer): void {
    this.#client.say(messages);
  }

  close(last: Buffer | null): void {
    this.#client.scanner.close();
    if (last === null) this.#wire.end();
    else this.#wire.end(last);
  }

  destroy(): void {
    this.#client.scanner.close();
    this.#wire.destroy();
  }
}
