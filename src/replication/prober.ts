import type { Logger } from '../log.js';
import type { NodeName } from '../util/brand.js';
import type { Clock, ClockTimer } from '../util/clock.js';
import { messageOf } from '../errors.js';
import { NodeProbe } from './probe.js';
import type { ConnectResult, ProbeConnect, ProbeResult, ProbeTarget } from './probe.js';
import type { NodeIdentity, ProbeRows } from './probe-sql.js';
import type { Ticks } from './ticks.js';

/** Where the results go. Called from the event loop, never from inside a method of the prober. */
export interface ProberHandler {
  /** `tick`: the number under which the sample was sent, when the node was the source of ticks then; null otherwise. */
  onSample(node: NodeName, result: ProbeResult, tick: number | null): void;
  /** Whether a new connection could be had. */
  onConnect(node: NodeName, result: ConnectResult): void;
  /** At the beginning of every round; the place to look at how old things are. */
  onRound(): void;
}

export interface ProberOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly connect: ProbeConnect;
  readonly ticks: Ticks;
  readonly handler: ProberHandler;
  /** Time between two rounds. */
  readonly intervalMs: number;
  /** Time between two samples of a hurried node, and the least time between two rounds. */
  readonly promotionIntervalMs: number;
  /** Time limit of a sample, and of a connect probe. */
  readonly timeoutMs: number;
  /** Time between two connect probes of one node. */
  readonly connectIntervalMs: number;
}

/** How long the standbys' samples wait for the primary's answer: long enough for every healthy one, and never the end of the round. */
export const HEAD_START_MS = 50;

interface Entry {
  readonly name: NodeName;
  readonly target: ProbeTarget;
  readonly probe: NodeProbe;
  nextConnectAtMs: number;
  hurryTimer: ClockTimer | null;
  /** A quick sample is under way. */
  isHurrying: boolean;
}

/** Samples every node of a cluster in rounds: the source of ticks first, then the others, so that a standby's lag is never negative. */
export class Prober {
  readonly #options: ProberOptions;
  readonly #entries: Map<NodeName, Entry>;
  /** Also names that are not probed yet: one that comes later is hurried too. */
  readonly #hurried: Set<NodeName>;
  #source: NodeName | null;
  #roundTimer: ClockTimer | null;
  #headStartTimer: ClockTimer | null;
  #roundAtMs: number;
  #nextRoundAtMs: number;
  #isRunning: boolean;

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#entries = new Map();
    this.#hurried = new Set();
    this.#source = null;
    this.#roundTimer = null;
    this.#headStartTimer = null;
    this.#roundAtMs = Number.NEGATIVE_INFINITY;
    this.#nextRoundAtMs = Number.POSITIVE_INFINITY;
    this.#isRunning = false;
  }

  /** Begins the rounds; the first one comes at once, from the event loop. */
  start(): void {
    if (!this.#isRunning) {
      this.#isRunning = true;
      this.#planRound(0);
      for (const entry of this.#entries.values()) {
        this.#keepHurrying(entry);
      }
    }
  }

  /** Ends every round and closes every connection. No result is given after it. */
  close(): void {
    this.#isRunning = false;
    this.#clear(this.#roundTimer);
    this.#clear(this.#headStartTimer);
    for (const entry of this.#entries.values()) {
      this.#forget(entry);
    }
    this.#entries.clear();
  }

  /** Probes exactly these nodes from now on. A node whose address changed is another node. */
  setNodes(nodes: ReadonlyMap<NodeName, ProbeTarget>): void {
    for (const entry of this.#entries.values()) {
      const wanted = nodes.get(entry.name);
      if (wanted === undefined || wanted.host !== entry.target.host || wanted.port !== entry.target.port) {
        this.#forget(entry);
        this.#entries.delete(entry.name);
      }
    }
    let isNew = false;
    for (const [name, target] of nodes) {
      if (!this.#entries.has(name)) {
        const entry = this.#entryOf(name, target);
        this.#entries.set(name, entry);
        isNew = true;
        this.#keepHurrying(entry);
      }
    }
    if (isNew) {
      this.earlyRound();
    }
  }

  /**
   * Whose samples are ticks, and go out first: the primary (the leader in a standby cluster); null while there is none. A new source
   * gives its first tick soon.
   */
  setSource(name: NodeName | null): void {
    if (this.#source !== name) {
      this.#source = name;
      if (name !== null) {
        this.earlyRound();
      }
    }
  }

  /** Samples a node every `promotionIntervalMs` until this is taken back. */
  hurry(name: NodeName, isHurried: boolean): void {
    if (this.#hurried.has(name) === isHurried) {
      return;
    }
    const entry = this.#entries.get(name);
    if (isHurried) {
      this.#hurried.add(name);
      if (entry !== undefined) {
        this.#keepHurrying(entry);
      }
      return;
    }
    this.#hurried.delete(name);
    if (entry !== undefined) {
      this.#clear(entry.hurryTimer);
      entry.hurryTimer = null;
    }
  }

  /** The connection over which a node gave this identity still lives, and is the one that samples go over. */
  isConnectedTo(name: NodeName, identity: NodeIdentity): boolean {
    return this.#entries.get(name)?.probe.identity === identity;
  }

  /** Samples one node now, besides the rounds; null when it is not probed. The result also goes to the handler. */
  async probeNow(name: NodeName): Promise<ProbeResult | null> {
    const entry = this.#entries.get(name);
    return entry === undefined || !this.#isRunning ? null : this.#sample(entry);
  }

  /** Asks a node something else, over the connection of its samples; see `NodeProbe.ask`. Null when it is not probed. */
  async ask(name: NodeName, sql: string): Promise<ProbeRows | null> {
    const entry = this.#entries.get(name);
    return entry === undefined || !this.#isRunning ? null : entry.probe.ask(sql);
  }

  /** Asks for a round (and so a tick) soon: rounds stay `promotionIntervalMs` apart however often this is called. */
  earlyRound(): void {
    if (this.#isRunning) {
      const { clock, promotionIntervalMs } = this.#options;
      this.#planRound(Math.max(0, this.#roundAtMs + promotionIntervalMs - clock.nowMs()));
    }
  }

  #entryOf(name: NodeName, target: ProbeTarget): Entry {
    const { clock, connect, timeoutMs, connectIntervalMs } = this.#options;
    return {
      name,
      target: { host: target.host, port: target.port },
      probe: new NodeProbe(target, { clock, connect, timeoutMs }),
      nextConnectAtMs: clock.nowMs() + connectIntervalMs,
      hurryTimer: null,
      isHurrying: false,
    };
  }

  /** Plans the next round, unless one comes sooner anyway. */
  #planRound(delayMs: number): void {
    const { clock } = this.#options;
    const atMs = clock.nowMs() + delayMs;
    if (this.#roundTimer !== null && this.#nextRoundAtMs <= atMs) {
      return;
    }
    this.#clear(this.#roundTimer);
    this.#nextRoundAtMs = atMs;
    this.#roundTimer = clock.setTimer(delayMs, () => this.#round());
  }

  #round(): void {
    const { clock, intervalMs } = this.#options;
    this.#roundTimer = null;
    this.#roundAtMs = clock.nowMs();
    this.#planRound(intervalMs);
    this.#tell(() => this.#options.handler.onRound());
    const source = this.#source === null ? undefined : this.#entries.get(this.#source);
    if (source === undefined || source.probe.isSampling) {
      this.#sampleOthers(source);
      return;
    }
    let isOpen = true;
    const goOn = (): void => {
      if (isOpen && this.#isRunning) {
        isOpen = false;
        this.#clear(this.#headStartTimer);
        this.#headStartTimer = null;
        this.#sampleOthers(source);
      }
    };
    this.#clear(this.#headStartTimer);
    this.#headStartTimer = clock.setTimer(Math.min(HEAD_START_MS, intervalMs), goOn);
    void this.#sample(source).finally(goOn);
    void this.#probeConnect(source);
  }

  #sampleOthers(source: Entry | undefined): void {
    for (const entry of this.#entries.values()) {
      if (entry !== source && !entry.probe.isSampling) {
        void this.#sample(entry);
      }
      void this.#probeConnect(entry);
    }
  }

  /** Begins the quick samples of a node that is to be hurried, unless they run already. */
  #keepHurrying(entry: Entry): void {
    if (this.#isRunning && this.#hurried.has(entry.name) && !entry.isHurrying) {
      entry.isHurrying = true;
      void this.#sampleInHurry(entry);
    }
  }

  async #sampleInHurry(entry: Entry): Promise<void> {
    const { clock, promotionIntervalMs } = this.#options;
    const startedAtMs = clock.nowMs();
    await this.#sample(entry);
    entry.isHurrying = false;
    if (this.#hurried.has(entry.name) && this.#isCurrent(entry)) {
      const delayMs = Math.max(1, startedAtMs + promotionIntervalMs - clock.nowMs());
      this.#clear(entry.hurryTimer);
      entry.hurryTimer = clock.setTimer(delayMs, () => this.#keepHurrying(entry));
    }
  }

  async #sample(entry: Entry): Promise<ProbeResult> {
    const { ticks } = this.#options;
    const isShared = entry.probe.isSampling;
    let tick: number | null = null;
    const result = await entry.probe.sample(() => {
      tick = this.#source === entry.name ? ticks.send() : null;
    }, this.#hurried.has(entry.name));
    if (!isShared && this.#isCurrent(entry)) {
      this.#tell(() => this.#options.handler.onSample(entry.name, result, tick));
    }
    return result;
  }

  /** A new connection is tried only beside a living one: without it every sample is a connect probe already. */
  async #probeConnect(entry: Entry): Promise<void> {
    const { clock, connectIntervalMs } = this.#options;
    if (clock.nowMs() < entry.nextConnectAtMs || entry.probe.isConnecting || !entry.probe.isConnected) {
      return;
    }
    entry.nextConnectAtMs = clock.nowMs() + connectIntervalMs;
    const result = await entry.probe.tryConnect();
    if (this.#isCurrent(entry)) {
      this.#tell(() => this.#options.handler.onConnect(entry.name, result));
    }
  }

  #isCurrent(entry: Entry): boolean {
    return this.#isRunning && this.#entries.get(entry.name) === entry;
  }

  #forget(entry: Entry): void {
    this.#clear(entry.hurryTimer);
    entry.probe.close();
  }

  /** A mistake in the handler must not end the rounds. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#options.logger.error({ reason: messageOf(error) }, 'a probe result could not be used');
    }
  }

  #clear(timer: ClockTimer | null): void {
    if (timer !== null) {
      this.#options.clock.clearTimer(timer);
    }
  }
}
