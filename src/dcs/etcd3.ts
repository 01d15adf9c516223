import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import { Backoff } from '../util/backoff.js';
import type { Clock, ClockTimer } from '../util/clock.js';
import { type Claims, type ClaimsProvider, DcsState } from './claims.js';
import type { EtcdEndpoint, EtcdHeader, EtcdReading } from './etcd3-endpoint.js';
import { describeEtcdError } from './etcd3-errors.js';
import { type EtcdTls, GrpcEtcdEndpoint } from './etcd3-grpc.js';
import { EtcdLineage } from './etcd3-lineage.js';
import { RETRY_CEILING_MS, RETRY_FIRST_MS, WatchKeeper } from './etcd3-watch-keeper.js';
import { type ClaimsParts, type KeyEvent, PatroniStore } from './patroni-store.js';

/** One address of etcd. */
interface EtcdAddress {
  readonly host: string;
  readonly port: number;
}

/** How to follow a cluster's keys in etcd. All times are in milliseconds. */
export interface Etcd3ClaimsOptions {
  /** At least one. */
  readonly hosts: readonly EtcdAddress[];
  /** The folder of the cluster's keys; see `patroniPrefix`. */
  readonly prefix: string;
  /** Null: no log-in. With a name, one that etcd asks for or not. */
  readonly username: string | null;
  readonly password: string | null;
  /** Null or absent: without TLS. */
  readonly tls?: EtcdTls | null;
  /** Longest wait for one answer of one etcd member. */
  readonly requestTimeoutMs: number;
  /** Without a successful read for so long the claims are stale; longer than `watchdogIntervalMs` and `requestTimeoutMs` together. */
  readonly staleAfterMs: number;
  /** How often everything is read besides the watch. */
  readonly watchdogIntervalMs: number;
  /** How long the answer to an HTTP/2 ping may take. */
  readonly keepaliveMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Makes the connection to one member; tests put something else here. */
  readonly openEndpoint?: (address: EtcdAddress) => EtcdEndpoint;
  /** A number in [0, 1); `Math.random` unless a test says otherwise. */
  readonly random?: () => number;
}

/**
 * Claims from Patroni's keys in etcd (API version 3).
 *
 * Two ways at once: a watch for speed, and a linearizable read of the whole (small) prefix every `watchdogIntervalMs` for safety.
 * The read proves that etcd has a quorum and that we reach it, finds what a mute watch has missed, and is the only thing that
 * makes the claims live. Both go to one member; when anything about it breaks, to the next one.
 */
export class Etcd3Claims implements ClaimsProvider {
  readonly #options: Etcd3ClaimsOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #endpoints: readonly EtcdEndpoint[];
  readonly #store = new PatroniStore();
  readonly #lineage: EtcdLineage;
  readonly #watch: WatchKeeper;
  readonly #backoff: Backoff;
  /** Why a member could not be read the last time, by its name. */
  readonly #memberTrouble = new Map<string, { readonly why: string; readonly isDoubt: boolean }>();

  #onChange: () => void = () => {};
  #claims: Claims;
  #published: ClaimsParts;
  #state: DcsState = DcsState.Unknown;
  #confirmedAtMs: number | null = null;
  /** Newest revision that the store holds completely, as etcd counts. */
  #revision = 0n;
  /** Revision of the last complete reading: events up to it are old news. */
  #floor = 0n;
  /** Added to etcd's revisions, so that ours go on growing over a rebuilt etcd cluster. */
  #revisionBase = 0n;
  /** Index of the member that is asked first. */
  #current: number;
  #cycle: Promise<void> | null = null;
  #nextCycle: { readonly timer: ClockTimer; readonly dueMs: number } | null = null;
  #staleTimer: ClockTimer | null = null;
  #isStarted = false;
  #closing: Promise<void> | null = null;

  /** Throws when there is no host, or when a certificate is none. */
  constructor(options: Etcd3ClaimsOptions) {
    if (options.hosts.length === 0) {
      throw new TypeError('etcd3: at least one host is needed');
    }
    const random = options.random ?? Math.random;
    this.#options = options;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#endpoints = options.hosts.map((address) => openEndpoint(address, options));
    this.#lineage = new EtcdLineage(options.staleAfterMs);
    this.#backoff = new Backoff({ firstMs: RETRY_FIRST_MS, ceilingMs: RETRY_CEILING_MS, random });
    this.#watch = new WatchKeeper({
      prefix: options.prefix,
      requestTimeoutMs: options.requestTimeoutMs,
      clock: options.clock,
      logger: options.logger,
      random,
      doubt: (header) => this.#lineage.doubt(header),
      onCreated: () => this.#publish(),
      onEvents: (header, events) => this.#told(header, events),
      onBroken: (endpoint, retryMs) => this.#watchBroke(endpoint, retryMs),
    });
    // Not every proxy should begin with the first member.
    this.#current = Math.floor(random() * this.#endpoints.length);
    this.#published = this.#store.parts;
    this.#claims = this.#picture(this.#published);
  }

  get claims(): Claims {
    return this.#claims;
  }

  start(onChange: () => void): void {
    if (this.#isStarted || this.#closing !== null) {
      return;
    }
    this.#isStarted = true;
    this.#onChange = onChange;
    this.#runCycle();
  }

  confirmSoon(): void {
    if (this.#isStarted && this.#closing === null && this.#cycle === null) {
      this.#schedule(0);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    this.#onChange = () => {};
    for (const timer of [this.#nextCycle?.timer ?? null, this.#staleTimer]) {
      if (timer !== null) {
        this.#clock.clearTimer(timer);
      }
    }
    this.#watch.close();
    for (const endpoint of this.#endpoints) {
      endpoint.close();
    }
    // Its request was ended with its endpoint, and is bounded by a deadline besides.
    await this.#cycle;
  }

  #runCycle(): void {
    this.#nextCycle = null;
    if (this.#cycle !== null || this.#closing !== null) {
      return;
    }
    this.#cycle = this.#readSomewhere().then(
      (answered) => this.#endCycle(answered),
      (error: unknown) => {
        this.#logger.error({ error: messageOf(error) }, 'reading from etcd failed in an unexpected way');
        this.#endCycle(false);
      },
    );
  }

  #endCycle(answered: boolean): void {
    this.#cycle = null;
    if (this.#closing !== null) {
      return;
    }
    if (answered) {
      this.#backoff.reset();
    }
    // Scheduled first: whoever hears of the change may close us.
    this.#schedule(answered ? this.#options.watchdogIntervalMs : this.#backoff.next());
    this.#publish();
  }

  #schedule(delayMs: number): void {
    const dueMs = this.#clock.nowMs() + delayMs;
    if (this.#nextCycle !== null) {
      if (this.#nextCycle.dueMs <= dueMs) {
        return;
      }
      this.#clock.clearTimer(this.#nextCycle.timer);
    }
    this.#nextCycle = { dueMs, timer: this.#clock.setTimer(delayMs, () => this.#runCycle()) };
  }

  /** Asks one member after the other, beginning with the current one; true when one answered. */
  async #readSomewhere(): Promise<boolean> {
    for (let tried = 0; tried < this.#endpoints.length && this.#closing === null; tried += 1) {
      const endpoint = this.#endpoints[this.#current];
      if (endpoint !== undefined && (await this.#readFrom(endpoint))) {
        return true;
      }
      this.#current = (this.#current + 1) % this.#endpoints.length;
    }
    return false;
  }

  async #readFrom(endpoint: EtcdEndpoint): Promise<boolean> {
    // Time and mark of departure: what comes back is at least as new as these.
    const sentAtMs = this.#clock.nowMs();
    const before = this.#lineage.mark;
    let reading: EtcdReading;
    try {
      reading = await this.#withDeadline(endpoint.read(this.#options.prefix, this.#options.requestTimeoutMs));
    } catch (error) {
      this.#memberFailed(endpoint, describeEtcdError(error), false);
      return false;
    }
    if (this.#closing !== null) {
      return false;
    }
    const verdict = this.#lineage.judge(reading.header, before, this.#clock.nowMs());
    if (verdict.kind === 'rejected') {
      this.#memberFailed(endpoint, `not believed: ${verdict.why}`, true);
      return false;
    }
    if (verdict.kind === 'rebuilt') {
      this.#startAnew(endpoint, verdict.why);
    }
    this.#take(endpoint, reading, sentAtMs);
    return true;
  }

  /** The client has a deadline too, but it measures by the wall clock, and not everything it does stands under it. */
  #withDeadline<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const late = () => reject(new Error('no answer in time'));
      const timer = this.#clock.setTimer(this.#options.requestTimeoutMs, late);
      const inTime = () => this.#clock.clearTimer(timer);
      promise.finally(inTime).then(resolve, reject);
    });
  }

  #memberFailed(endpoint: EtcdEndpoint, why: string, isDoubt: boolean): void {
    if (this.#closing !== null) {
      return;
    }
    this.#watch.suspect(endpoint);
    if (this.#memberTrouble.get(endpoint.name)?.why !== why) {
      this.#memberTrouble.set(endpoint.name, { why, isDoubt });
      this.#logger.warn({ etcd: endpoint.name, reason: why }, 'an etcd member could not be read');
    }
  }

  #startAnew(endpoint: EtcdEndpoint, why: string): void {
    this.#logger.error(
      { etcd: endpoint.name, reason: why, lastRevision: String(this.#revision) },
      'the etcd cluster was rebuilt: all that was known from the old one is dropped',
    );
    this.#watch.close();
    this.#memberTrouble.clear();
    this.#revisionBase += this.#revision;
    this.#revision = 0n;
    this.#floor = 0n;
    this.#store.rebase(this.#revisionBase);
  }

  #take(endpoint: EtcdEndpoint, reading: EtcdReading, sentAtMs: number): void {
    const { revision } = reading.header;
    const isMute = this.#watch.owes;
    // An answer can be overtaken by events that are newer; then it confirms, but has nothing to tell.
    if (revision >= this.#revision) {
      if (this.#store.replace(reading.keys)) {
        this.#watch.expectChanges(this.#revision);
      }
      this.#revision = revision;
    }
    this.#floor = this.#revision;
    this.#confirmedAtMs = Math.max(this.#confirmedAtMs ?? sentAtMs, sentAtMs);
    if (this.#memberTrouble.delete(endpoint.name)) {
      this.#logger.info({ etcd: endpoint.name }, 'the etcd member answers again');
    }
    if (this.#state !== DcsState.Live) {
      this.#state = DcsState.Live;
      this.#logger.info({ etcd: endpoint.name, revision: String(revision) }, 'claims from etcd are live');
    }
    this.#armStaleTimer(sentAtMs);
    this.#watch.ensure(endpoint, this.#revision, isMute);
  }

  #armStaleTimer(readAtMs: number): void {
    if (this.#staleTimer !== null) {
      this.#clock.clearTimer(this.#staleTimer);
    }
    const leftMs = readAtMs + this.#options.staleAfterMs - this.#clock.nowMs();
    this.#staleTimer = this.#clock.setTimer(Math.max(leftMs, 0), () => {
      this.#staleTimer = null;
      this.#state = DcsState.Stale;
      this.#logger.warn({ reason: this.#trouble() }, 'claims from etcd are stale');
      this.#publish();
    });
  }

  #told(header: EtcdHeader, events: readonly KeyEvent[]): void {
    this.#store.apply(events.filter((event) => event.revision > this.#floor));
    const last = events.at(-1)?.revision ?? 0n;
    if (last > this.#revision) {
      this.#revision = last;
    }
    this.#lineage.advance({ ...header, revision: last });
    this.#publish();
  }

  #watchBroke(endpoint: EtcdEndpoint, retryMs: number): void {
    if (this.#cycle === null && this.#endpoints[this.#current] === endpoint) {
      this.#current = (this.#current + 1) % this.#endpoints.length;
    }
    this.#schedule(retryMs);
    this.#publish();
  }

  #publish(): void {
    if (this.#closing !== null) {
      return;
    }
    const parts = this.#store.parts;
    const before = this.#claims;
    const next = this.#picture(parts);
    const differs =
      parts !== this.#published ||
      next.state !== before.state ||
      next.trouble !== before.trouble ||
      next.problems.join('\n') !== before.problems.join('\n');
    this.#published = parts;
    this.#claims = next;
    if (!differs) {
      return;
    }
    try {
      this.#onChange();
    } catch (error) {
      this.#logger.error({ error: messageOf(error) }, 'a change of the claims could not be taken in');
    }
  }

  #picture(parts: ClaimsParts): Claims {
    const own = this.#ownProblems();
    return Object.freeze({
      provider: 'etcd3',
      state: this.#state,
      confirmedAtMs: this.#confirmedAtMs,
      trouble: this.#state === DcsState.Live ? null : this.#trouble(),
      revision: this.#revision + this.#revisionBase,
      ...parts,
      problems: own.length === 0 ? parts.problems : Object.freeze([...own, ...parts.problems]),
    });
  }

  #ownProblems(): readonly string[] {
    const doubts = this.#endpoints.flatMap(({ name }) => {
      const trouble = this.#memberTrouble.get(name);
      return trouble?.isDoubt === true ? [`etcd ${name}: ${trouble.why}`] : [];
    });
    const { trouble } = this.#watch;
    return trouble === null ? doubts : [...doubts, `watch: ${trouble}; changes are only seen by reading`];
  }

  /** Says the same for the same trouble, however long it lasts. */
  #trouble(): string {
    const told = this.#endpoints.flatMap(({ name }) => {
      const trouble = this.#memberTrouble.get(name);
      return trouble === undefined ? [] : [`${name} (${trouble.why})`];
    });
    if (told.length > 0) {
      return `etcd cannot be read: ${told.join(', ')}`;
    }
    const names = this.#endpoints.map(({ name }) => name).join(', ');
    return this.#state === DcsState.Unknown
      ? `etcd has not answered yet: ${names}`
      : `etcd has not answered within ${this.#options.staleAfterMs} ms: ${names}`;
  }
}

function openEndpoint(address: EtcdAddress, options: Etcd3ClaimsOptions): EtcdEndpoint {
  if (options.openEndpoint !== undefined) {
    return options.openEndpoint(address);
  }
  const { username, password, keepaliveMs } = options;
  return new GrpcEtcdEndpoint({ ...address, username, password, keepaliveMs, tls: options.tls ?? null });
}
