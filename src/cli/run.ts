import { InterimControls } from '../admin/console/interim-controls.js';
import { AdminServer } from '../admin/server.js';
import { App } from '../app.js';
import { ConfigError, formatProblem } from '../config/config-error.js';
import { loadConfig } from '../config/load.js';
import type { LoadedConfig } from '../config/load.js';
import type { ConfigChange } from '../config/diff.js';
import { SwitchyardError, messageOf } from '../errors.js';
import { openLogger } from '../log.js';
import type { AdjustableLogger } from '../log.js';
import { systemClock } from '../util/clock.js';
import type { CommandOptions } from './options.js';

/** Exit code for a configuration that cannot be used (EX_CONFIG of BSD's sysexits). */
const EXIT_CONFIG = 78;

/** Runs the proxy until it is told to stop: SIGTERM or SIGINT drains, a second one ends it; SIGHUP reads the configuration again. */
export async function run(options: CommandOptions): Promise<number> {
  let loaded: LoadedConfig;
  try {
    loaded = loadConfig(options.configPath, process.env);
  } catch (error) {
    console.error(messageOf(error instanceof ConfigError ? new Error(String(error)) : error));
    return EXIT_CONFIG;
  }
  const logger = openLogger(loaded.config.log.level);
  for (const warning of loaded.warnings) logger.warn({ config: formatProblem(warning) }, 'configuration is odd');
  const app = new App(loaded.config, { clock: systemClock, logger });
  // To be replaced by the controls that can do all of it.
  app.controls = new InterimControls(app, {
    reload: () => readAgain(app, options.configPath, logger),
    shutdown: (mode) => {
      process.kill(process.pid, 'SIGTERM');
      if (mode === 'now') process.kill(process.pid, 'SIGTERM');
    },
  });
  let admin: AdminServer | null = null;
  try {
    await app.start();
    if (loaded.config.admin.enabled) {
      admin = await AdminServer.open(app, loaded.config.admin.address);
      logger.info({ address: loaded.config.admin.address.host, port: admin.port }, 'admin listening');
    }
  } catch (error) {
    logger.error({ error: messageOf(error) }, 'cannot start');
    await app.close();
    return 1;
  }
  process.on('SIGHUP', () => reload(app, options.configPath, logger));
  process.on('uncaughtException', (error) => {
    // A broken invariant in one place must not take every client with it; it is said loudly and counted by whoever reads the log.
    logger.error({ error: error.stack }, 'unexpected exception');
  });
  await untilStopped(app, logger);
  await admin?.close();
  return 0;
}

async function untilStopped(app: App, logger: AdjustableLogger): Promise<void> {
  await new Promise<void>((resolve) => {
    let isAsked = false;
    const onSignal = (signal: string): void => {
      if (isAsked) {
        logger.warn({ signal }, 'told to stop again: ending now');
        void app.close().then(resolve);
        return;
      }
      isAsked = true;
      void app.stop().then(resolve);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

function reload(app: App, path: string, logger: AdjustableLogger): void {
  try {
    readAgain(app, path, logger);
  } catch {
    // It is in the log.
  }
}

/**
 * Takes over the configuration as it is now in its file; gives what became of each change, in sentences.
 * @throws SwitchyardError `config_refused`: the old one stays
 */
function readAgain(app: App, path: string, logger: AdjustableLogger): readonly string[] {
  try {
    const { config, warnings } = loadConfig(path, process.env);
    for (const warning of warnings) logger.warn({ config: formatProblem(warning) }, 'configuration is odd');
    const diff = app.reload(config);
    logger.info({ applied: diff.live, needsRestart: diff.restart }, 'configuration read again');
    return [
      ...diff.live.map((change) => `${wordsOf(change)}: applied`),
      ...diff.restart.map((change) => `${wordsOf(change)}: only after a restart`),
    ];
  } catch (error) {
    app.counters.configReloads.add('refused');
    const problems = error instanceof ConfigError ? error.problems.map(formatProblem) : [messageOf(error)];
    logger.error({ problems }, 'configuration refused; the old one stays');
    throw new SwitchyardError('config_refused', 'the configuration was refused; the old one stays', {
      detail: problems.join('\n'),
      cause: error,
    });
  }
}

function wordsOf({ key, before, after }: ConfigChange): string {
  return `${key} ${before} -> ${after}`;
}
