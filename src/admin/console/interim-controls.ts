import { SwitchyardError } from '../../errors.js';
import { nodeName } from '../../util/brand.js';
import type { NodeName } from '../../util/brand.js';
import type { Proxy } from '../proxy.js';
import type { ConsoleControls, ShutdownMode } from './controls.js';

/** What the program around the proxy does for the console. */
export interface ProgramControls {
  /** Reads the configuration again; gives what was applied, in sentences. */
  reload(): readonly string[];
  shutdown(mode: ShutdownMode): void;
}

/** What the proxy can do by itself today; every other command is refused. To be replaced as a whole where the proxy is put together. */
export class InterimControls implements ConsoleControls {
  readonly pausedDatabases: readonly string[] = [];
  readonly isPaused = false;
  readonly disabledDatabases: readonly string[] = [];
  readonly #proxy: Proxy;
  readonly #program: ProgramControls | null;

  constructor(proxy: Proxy, program: ProgramControls | null = null) {
    this.#proxy = proxy;
    this.#program = program;
  }

  pause(): Promise<void> {
    return Promise.reject(missing());
  }

  resume(): void {
    throw missing();
  }

  reconnect(): void {
    throw missing();
  }

  waitClose(): Promise<void> {
    return Promise.reject(missing());
  }

  kill(): void {
    throw missing();
  }

  killClient(): void {
    throw missing();
  }

  disable(): void {
    throw missing();
  }

  enable(): void {
    throw missing();
  }

  async reload(): Promise<readonly string[]> {
    if (this.#program === null) throw missing();
    return this.#program.reload();
  }

  shutdown(mode: ShutdownMode): void {
    if (this.#program === null) throw missing();
    this.#program.shutdown(mode);
  }

  drain(node: string): void {
    const { conductor, config, isStopping } = this.#proxy;
    if (isStopping)
      throw new SwitchyardError('wrong_state', 'the proxy is shutting down: its sessions leave every node');
    conductor.drains.begin({ node: this.#known(node), isFirm: true, timeoutMs: config.promotion.drainTimeoutMs });
  }

  undrain(node: string): void {
    const cancelled = this.#proxy.conductor.drains.cancel(this.#known(node));
    if (cancelled.length === 0) throw new SwitchyardError('wrong_state', `node "${node}" is not drained`);
  }

  switchover(): Promise<readonly string[]> {
    return Promise.reject(missing());
  }

  set(): Promise<readonly string[]> {
    return Promise.reject(missing());
  }

  #known(node: string): NodeName {
    const name = nodeName(node);
    const { nodes } = this.#proxy.watch.store.view;
    if (nodes.has(name)) return name;
    throw new SwitchyardError('unknown_object', `there is no node "${node}"`, {
      hint: `There is ${[...nodes.keys()].join(', ')}.`,
    });
  }
}

function missing(): SwitchyardError {
  return new SwitchyardError('not_available', 'this command is not available yet');
}
