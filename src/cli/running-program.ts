import { dirname } from 'node:path';
import type { ShutdownMode } from '../admin/console/controls.js';
import type { ProgramControls } from '../admin/console/program-controls.js';
import type { App } from '../app.js';
import { ConfigError, formatProblem } from '../config/config-error.js';
import type { ConfigChange } from '../config/diff.js';
import type { Environment } from '../config/interpolate.js';
import { loadConfig, parseConfig } from '../config/load.js';
import type { LoadedConfig } from '../config/load.js';
import { liveKeyPath, withKey } from '../config/override.js';
import { SwitchyardError, messageOf } from '../errors.js';
import type { Logger } from '../log.js';

const PATRONI_USER_ENV_NAME = 'SWITCHYARD_PATRONI_USER';
const PATRONI_PASSWORD_ENV_NAME = 'SWITCHYARD_PATRONI_PASSWORD';

export interface ProgramParts {
  /** Of the configuration file. */
  readonly path: string;
  readonly env: Environment;
  readonly logger: Logger;
}

/** What is around a proxy that runs: its configuration file, and its end. */
export class RunningProgram implements ProgramControls {
  /** Resolves when the proxy has ended, for whatever reason. */
  readonly ended: Promise<void>;
  readonly patroni: ProgramControls['patroni'];
  readonly #app: App;
  readonly #parts: ProgramParts;
  /** As it was read last, with what was set since. */
  #loaded: LoadedConfig;
  #isToldToStop = false;
  #end: () => void = () => {};

  constructor(app: App, loaded: LoadedConfig, parts: ProgramParts) {
    const { env } = parts;
    this.#app = app;
    this.#loaded = loaded;
    this.#parts = parts;
    this.patroni = { user: env[PATRONI_USER_ENV_NAME] ?? null, password: env[PATRONI_PASSWORD_ENV_NAME] ?? null };
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  reload(): readonly string[] {
    const { path, env } = this.#parts;
    const changes = this.#take(() => loadConfig(path, env), 'the configuration was refused; the old one stays');
    return changes.length === 0 ? ['nothing has changed'] : changes;
  }

  set(key: string, value: string): readonly string[] {
    const { path, env } = this.#parts;
    const { text, config } = this.#loaded;
    const found = liveKeyPath(
      key,
      config.listeners.map(({ name }) => name),
    );
    if (!found.ok) throw new SwitchyardError('unknown_object', found.problem, { hint: 'SHOW CONFIG lists all keys.' });
    const changed = withKey(text, found.value, value);
    if (!changed.ok) throw new SwitchyardError('config_refused', `${key} was not changed: ${changed.problem}`);
    const origin = { fileName: path, env, folder: dirname(path) };
    const changes = this.#take(() => parseConfig(changed.value, origin), `${key} was not changed`);
    return changes.length === 0 ? [`${key} has this value already`] : changes;
  }

  shutdown(mode: ShutdownMode): void {
    // Whoever has asked for it gets his answer first.
    setImmediate(() => {
      const { logger } = this.#parts;
      logger.info({ mode }, 'told to stop by the console');
      void this.#over(
        mode === 'now' ? this.#app.close() : this.#app.stop(mode === 'wait_for_servers' ? 'servers' : 'clients'),
      );
    });
  }

  /** The first one ends sessions at their boundaries, the second one ends everything. */
  onStopSignal(signal: string): void {
    if (this.#isToldToStop) {
      this.#parts.logger.warn({ signal }, 'told to stop again: ending now');
      void this.#over(this.#app.close());
      return;
    }
    this.#isToldToStop = true;
    void this.#over(this.#app.stop());
  }

  async #over(stopped: Promise<void>): Promise<void> {
    await stopped;
    this.#end();
  }

  /**
   * Takes over a configuration; gives what became of each change, in sentences.
   * @throws SwitchyardError `config_refused`: the old one stays
   */
  #take(load: () => LoadedConfig, refusal: string): readonly string[] {
    const { logger } = this.#parts;
    try {
      const loaded = load();
      for (const warning of loaded.warnings) logger.warn({ config: formatProblem(warning) }, 'configuration is odd');
      const diff = this.#app.reload(loaded.config);
      this.#loaded = loaded;
      logger.info({ applied: diff.live, needsRestart: diff.restart }, 'configuration read again');
      return [
        ...diff.live.map((change) => `${wordsOf(change)}: applied`),
        ...diff.restart.map((change) => `${wordsOf(change)}: only after a restart`),
      ];
    } catch (error) {
      this.#app.counters.configReloads.add('refused');
      const problems = error instanceof ConfigError ? error.problems.map(formatProblem) : [messageOf(error)];
      logger.error({ problems }, 'configuration refused; the old one stays');
      throw new SwitchyardError('config_refused', refusal, { detail: problems.join('\n'), cause: error });
    }
  }
}

function wordsOf({ key, before, after }: ConfigChange): string {
  return `${key} ${before} -> ${after}`;
}
