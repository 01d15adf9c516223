import type { ShutdownMode } from './controls.js';

/** What the program around the proxy does for those who ask for it while it runs. */
export interface ProgramControls {
  /** Reads the configuration again; gives what became of each change, in sentences. Throws SwitchyardError `config_refused`. */
  reload(): readonly string[];
  /** Gives one key another value until the next `reload`. Throws SwitchyardError `unknown_object` or `config_refused`. */
  set(key: string, value: string): readonly string[];
  shutdown(mode: ShutdownMode): void;
  /** How Patroni's REST API is asked, where it wants to know. */
  readonly patroni: { readonly user: string | null; readonly password: string | null };
}
