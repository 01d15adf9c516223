import { YardControls } from '../admin/console/yard-controls.js';
import { AdminServer } from '../admin/server.js';
import { App } from '../app.js';
import { ConfigError, formatProblem } from '../config/config-error.js';
import { loadConfig } from '../config/load.js';
import type { LoadedConfig } from '../config/load.js';
import { messageOf } from '../errors.js';
import { openLogger } from '../log.js';
import { openEngine } from '../net/open-engine.js';
import type { OpenedEngine } from '../net/open-engine.js';
import { systemClock } from '../util/clock.js';
import type { CommandOptions } from './options.js';
import { RunningProgram } from './running-program.js';

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
  let opened: OpenedEngine;
  try {
    opened = openEngine(loaded.config.engine);
  } catch (error) {
    logger.error({ error: messageOf(error) }, 'cannot start');
    return 1;
  }
  const { engine, why } = opened;
  if (why !== null) logger.info({ why }, 'no native engine: Node alone moves the bytes');
  const app = new App(loaded.config, { clock: systemClock, logger, engine });
  const program = new RunningProgram(app, loaded, { path: options.configPath, env: process.env, logger });
  app.controls = new YardControls(app, program);
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
  process.on('SIGHUP', () => {
    try {
      program.reload();
    } catch {
      // It is in the log.
    }
  });
  process.on('SIGTERM', (signal) => program.onStopSignal(signal));
  process.on('SIGINT', (signal) => program.onStopSignal(signal));
  process.on('uncaughtException', (error) => {
    // A broken invariant in one place must not take every client with it; it is said loudly and counted by whoever reads the log.
    logger.error({ error: error.stack }, 'unexpected exception');
  });
  await program.ended;
  await admin?.close();
  return 0;
}
