/**
 * What the commands of the console do. `database` null: all. Each rejects, or throws, with SwitchyardError where it cannot be done;
 * `signal` aborts a wait when its client goes away.
 */
export interface ConsoleControls {
  /** Resolves when no backend (of the database) is in use. `onWait` is called with one sentence whenever what it waits for changes. */
  pause(database: string | null, onWait: (waitsFor: string) => void, signal: AbortSignal): Promise<void>;
  /** Fails where nothing is paused. */
  resume(database: string | null): void;
  /** Backends are closed and replaced as they become free. */
  reconnect(database: string | null): void;
  /** Resolves when those of `reconnect` are gone. */
  waitClose(database: string | null, signal: AbortSignal): Promise<void>;
  /** Drops clients and backends at once, and pauses. */
  kill(database: string | null): void;
  killClient(id: number): void;
  /** New clients of the database are refused. */
  disable(database: string): void;
  enable(database: string): void;
  /** What was applied and what was refused, in sentences. */
  reload(): Promise<readonly string[]>;
  shutdown(mode: ShutdownMode): void;
  drain(node: string): void;
  undrain(node: string): void;
  /** Through Patroni's REST API; gives what happened, in sentences. */
  switchover(candidate: string): Promise<readonly string[]>;
  /** One key of the configuration that can change while the program runs; gives what there is to say about it, in sentences. */
  set(key: string, value: string): Promise<readonly string[]>;
  readonly pausedDatabases: readonly string[];
  readonly isPaused: boolean;
  readonly disabledDatabases: readonly string[];
}

/** `wait_for_servers`: no new client, and the end when no backend is in use. `wait_for_clients`: when no client is left. */
export type ShutdownMode = 'now' | 'wait_for_servers' | 'wait_for_clients';
