import type { Logger } from '../log.js';
import { Backoff } from '../util/backoff.js';
import type { Clock, ClockTimer } from '../util/clock.js';
import type { EtcdEndpoint, EtcdHeader, EtcdWatch } from './etcd3-endpoint.js';
import { describeEtcdError } from './etcd3-errors.js';
import type { KeyEvent } from './patroni-store.js';

/** Delays between attempts after something broke. */
export const RETRY_FIRST_MS = 50;
export const RETRY_CEILING_MS = 1000;
/** A watch that lived for so long was a good one: the next attempt comes soon. */
const STEADY_WATCH_MS = 5000;
/** So many attempts to watch must fail in a row before it is called a problem. */
const WATCH_FAILURES_TOLD = 3;

/** What a {@link WatchKeeper} needs, and whom it tells. */
export interface WatchKeeperOptions {
  readonly prefix: string;
  /** Longest wait until etcd has begun to watch. */
  readonly requestTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  /** Why an answer with this header is not to be believed; null when it is. */
  readonly doubt: (header: EtcdHeader) => string | null;
  readonly onCreated: () => void;
  readonly onEvents: (header: EtcdHeader, events: readonly KeyEvent[]) => void;
  /** The watch is gone; after `retryMs` a new reading may begin another one. */
  readonly onBroken: (endpoint: EtcdEndpoint, retryMs: number) => void;
}

interface RunningWatch {
  readonly endpoint: EtcdEndpoint;
  handle: EtcdWatch | null;
  creating: ClockTimer | null;
  createdAtMs: number | null;
  /** A read found changes after this revision that the watch had not told; null when it owes nothing. */
  owesAfter: bigint | null;
  /** A read from its member failed while it was open: it may be mute. */
  isSuspect: boolean;
}

/** Keeps at most one watch open, on one member of etcd, and finds out when it no longer tells anything. */
export class WatchKeeper {
  readonly #options: WatchKeeperOptions;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  #watch: RunningWatch | null = null;
  #failures = 0;
  #trouble: string | null = null;

  constructor(options: WatchKeeperOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#backoff = new Backoff({ firstMs: RETRY_FIRST_MS, ceilingMs: RETRY_CEILING_MS, random: options.random });
  }

  /** Why no watch can be begun, when that has failed several times in a row; else null. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** True when a read has found changes, and the watch has told none of them since. */
  get owes(): boolean {
    return this.#watch !== null && this.#watch.owesAfter !== null;
  }

  /** A read has found changes after revision `known`: the watch must tell of them before the next read. */
  expectChanges(known: bigint): void {
    if (this.#watch !== null) {
      this.#watch.owesAfter ??= known;
    }
  }

  /** A read from this member has failed; if the watch is on it, {@link ensure} begins a new one. */
  suspect(endpoint: EtcdEndpoint): void {
    if (this.#watch?.endpoint === endpoint) {
      this.#watch.isSuspect = true;
    }
  }

  /** After a successful read up to `revision`: makes sure that a good watch is open on the member that answered. */
  ensure(endpoint: EtcdEndpoint, revision: bigint, isMute: boolean): void {
    const watch = this.#watch;
    if (watch !== null && watch.endpoint === endpoint && !watch.isSuspect && !isMute) {
      return;
    }
    if (watch !== null && isMute) {
      this.#options.logger.warn({ etcd: watch.endpoint.name }, 'the watch has missed changes: it is begun anew');
    }
    this.close();
    this.#open(endpoint, revision + 1n);
  }

  /** Ends the watch without telling anybody. */
  close(): void {
    const watch = this.#watch;
    if (watch !== null) {
      this.#watch = null;
      this.#stopWaiting(watch);
      watch.handle?.close();
    }
  }

  #open(endpoint: EtcdEndpoint, fromRevision: bigint): void {
    const { prefix, requestTimeoutMs } = this.#options;
    const watch: RunningWatch = {
      endpoint,
      handle: null,
      creating: null,
      createdAtMs: null,
      owesAfter: null,
      isSuspect: false,
    };
    this.#watch = watch;
    watch.creating = this.#clock.setTimer(requestTimeoutMs, () => this.#broke(watch, new Error('no answer in time')));
    watch.handle = endpoint.watch(prefix, fromRevision, {
      onCreated: (header) => this.#created(watch, header),
      onEvents: (header, events) => this.#told(watch, header, events),
      onBroken: (error) => this.#broke(watch, error),
    });
  }

  #stopWaiting(watch: RunningWatch): void {
    if (watch.creating !== null) {
      this.#clock.clearTimer(watch.creating);
      watch.creating = null;
    }
  }

  #created(watch: RunningWatch, header: EtcdHeader): void {
    if (this.#watch !== watch || !this.#isBelieved(watch, header)) {
      return;
    }
    this.#stopWaiting(watch);
    watch.createdAtMs = this.#clock.nowMs();
    this.#failures = 0;
    this.#trouble = null;
    this.#options.logger.debug({ etcd: watch.endpoint.name, revision: String(header.revision) }, 'watching etcd');
    this.#options.onCreated();
  }

  #told(watch: RunningWatch, header: EtcdHeader, events: readonly KeyEvent[]): void {
    if (this.#watch !== watch || !this.#isBelieved(watch, header)) {
      return;
    }
    const { owesAfter } = watch;
    if (owesAfter !== null && events.some((event) => event.revision > owesAfter)) {
      watch.owesAfter = null;
    }
    this.#options.onEvents(header, events);
  }

  #isBelieved(watch: RunningWatch, header: EtcdHeader): boolean {
    const doubt = this.#options.doubt(header);
    if (doubt !== null) {
      this.#broke(watch, new Error(`not believed: ${doubt}`));
    }
    return doubt === null;
  }

  #broke(watch: RunningWatch, error: Error): void {
    if (this.#watch !== watch) {
      return;
    }
    this.close();
    const reason = describeEtcdError(error);
    if (watch.createdAtMs === null) {
      this.#failures += 1;
      this.#trouble = this.#failures >= WATCH_FAILURES_TOLD ? reason : null;
    } else if (this.#clock.nowMs() - watch.createdAtMs >= STEADY_WATCH_MS) {
      this.#backoff.reset();
    }
    this.#options.logger.debug({ etcd: watch.endpoint.name, reason }, 'the watch on etcd broke');
    this.#options.onBroken(watch.endpoint, this.#backoff.next());
  }
}
