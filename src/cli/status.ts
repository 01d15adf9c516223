import { messageOf } from '../errors.js';
import type { CommandOptions } from './options.js';
import { findAdminAddress } from './status/admin-address.js';
import { fetchStatus } from './status/fetch-status.js';
import { renderStatus } from './status/render-status.js';
import { processTerminal } from './terminal.js';
import type { Terminal } from './terminal.js';

const EXIT_READY = 0;
/** It runs, and clients should not be sent there: most often there is no primary. */
const EXIT_NOT_READY = 1;
const EXIT_UNREACHABLE = 2;
/** As of BSD's sysexits (EX_CONFIG). */
const EXIT_CONFIG = 78;
const TIMEOUT_MS = 5_000;

/** Shows a running proxy: the nodes as it sees them, its listeners and sessions. Gives the exit code. */
export async function status(options: CommandOptions, terminal: Terminal = processTerminal()): Promise<number> {
  const address = findAdminAddress(options.configPath, terminal.env);
  if (!address.ok) {
    terminal.complain(address.problem);
    return EXIT_CONFIG;
  }
  try {
    const fetched = await fetchStatus(address.value, TIMEOUT_MS);
    terminal.print(options.json ? fetched.text.trimEnd() : renderStatus(fetched.status, terminal));
    return fetched.status.ready ? EXIT_READY : EXIT_NOT_READY;
  } catch (error) {
    terminal.complain(`The proxy cannot be asked: ${messageOf(error)}`);
    return EXIT_UNREACHABLE;
  }
}
