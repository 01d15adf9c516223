import { SwitchyardError } from '../../errors.js';
import type { NodeName } from '../../util/brand.js';
import { nodeName } from '../../util/brand.js';
import type { Proxy } from '../proxy.js';
import { switchOver } from '../switchover.js';
import type { ConsoleControls, ShutdownMode } from './controls.js';
import type { ProgramControls } from './program-controls.js';

/** How often it is looked whether a wait is over. */
const LOOK_INTERVAL_MS = 20;
/** What is over in this time is not told of; and the least time between two sentences. */
const TELL_INTERVAL_MS = 250;

/** The commands of the console, carried out by the proxy and by the program around it. */
export class YardControls implements ConsoleControls {
  readonly #proxy: Proxy;
  readonly #program: ProgramControls | null;

  /** `program` null: the proxy is part of another program, which has a configuration and an end of its own. */
  constructor(proxy: Proxy, program: ProgramControls | null = null) {
    this.#proxy = proxy;
    this.#program = program;
  }

  get isPaused(): boolean {
    return this.#proxy.pauses.isAllPaused;
  }

  get pausedDatabases(): readonly string[] {
    return this.#proxy.pauses.paused;
  }

  get disabledDatabases(): readonly string[] {
    return this.#proxy.pauses.disabled;
  }

  /**
   * A client that goes away during the wait leaves the pause behind, as with PgBouncer; one that cancels its command (the signal aborts with
   * `query_canceled`) ends the pause.
   */
  async pause(database: string | null, onWait: (waitsFor: string) => void, signal: AbortSignal): Promise<void> {
    const { pauses, clock } = this.#proxy;
    pauses.pause(database);
    let told = '';
    let toldAtMs = clock.nowMs();
    const isPaused = (): boolean => (database === null ? pauses.isAllPaused : pauses.isPaused(database));
    const isOver = (): boolean => {
      if (!isPaused()) throw new SwitchyardError('wrong_state', 'resumed before all backends were given back');
      if (pauses.isEmpty(database)) return true;
      if (clock.nowMs() - toldAtMs < TELL_INTERVAL_MS) return false;
      const now = pauses.waitsFor(database);
      if (now === told) return false;
      told = now;
      toldAtMs = clock.nowMs();
      onWait(`waiting for ${now}`);
      return false;
    };
    try {
      await this.#until(isOver, signal);
    } catch (error) {
      const isCancelled = signal.reason instanceof SwitchyardError && signal.reason.code === 'query_canceled';
      if (isCancelled && isPaused()) pauses.resume(database);
      throw error;
    }
  }

  resume(database: string | null): void {
    this.#proxy.pauses.resume(database);
  }

  reconnect(database: string | null): void {
    this.#proxy.pauses.reconnect(database);
  }

  waitClose(database: string | null, signal: AbortSignal): Promise<void> {
    return this.#until(() => this.#proxy.pauses.retiring(database) === 0, signal);
  }

  kill(database: string | null): void {
    this.#proxy.pauses.kill(database);
  }

  killClient(id: number): void {
    this.#proxy.pauses.killSession(id);
  }

  disable(database: string): void {
    this.#proxy.pauses.disable(database);
  }

  enable(database: string): void {
    this.#proxy.pauses.enable(database);
  }

  async reload(): Promise<readonly string[]> {
    return this.#ofProgram.reload();
  }

  async set(key: string, value: string): Promise<readonly string[]> {
    return this.#ofProgram.set(key, value);
  }

  shutdown(mode: ShutdownMode): void {
    this.#ofProgram.shutdown(mode);
  }

  drain(node: string): void {
    const { conductor, config, isStopping } = this.#proxy;
    if (isStopping) {
      throw new SwitchyardError('wrong_state', 'the proxy is shutting down: its sessions leave every node');
    }
    conductor.drains.begin({ node: this.#known(node), isFirm: true, timeoutMs: config.promotion.drainTimeoutMs });
  }

  undrain(node: string): void {
    const cancelled = this.#proxy.conductor.drains.cancel(this.#known(node));
    if (cancelled.length === 0) throw new SwitchyardError('wrong_state', `node "${node}" is not drained`);
  }

  switchover(candidate: string): Promise<readonly string[]> {
    return switchOver(this.#proxy, candidate, this.#program?.patroni ?? { user: null, password: null });
  }

  get #ofProgram(): ProgramControls {
    if (this.#program !== null) return this.#program;
    throw new SwitchyardError('not_available', 'the proxy runs inside another program, which decides this');
  }

  #known(node: string): NodeName {
    const name = nodeName(node);
    const { nodes } = this.#proxy.watch.store.view;
    if (nodes.has(name)) return name;
    throw new SwitchyardError('unknown_object', `there is no node "${node}"`, {
      hint: `There is ${[...nodes.keys()].join(', ')}.`,
    });
  }

  #until(isOver: () => boolean, signal: AbortSignal): Promise<void> {
    const { clock } = this.#proxy;
    return new Promise((resolve, reject) => {
      const look = (): void => {
        try {
          if (signal.aborted) reject(new SwitchyardError('query_canceled', 'nobody waits for it any more'));
          else if (isOver()) resolve();
          else clock.setTimer(LOOK_INTERVAL_MS, look);
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      look();
    });
  }
}
