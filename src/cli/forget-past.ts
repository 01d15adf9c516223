import { formatAddress } from '../config/address.js';
import { messageOf } from '../errors.js';
import { askAdmin, problemOf } from './admin/ask-admin.js';
import { findAdmins } from './admin/find-admins.js';
import { ask as askPerson } from './confirm.js';
import type { AdminOptions } from './options.js';
import { fetchStatus } from './status/fetch-status.js';
import { printable, processTerminal } from './terminal.js';
import type { Terminal } from './terminal.js';

const EXIT_DONE = 0;
const EXIT_FAILED = 1;
/** As of BSD's sysexits (EX_USAGE, EX_CONFIG). */
const EXIT_USAGE = 64;
const EXIT_CONFIG = 78;
const TIMEOUT_MS = 5_000;

export interface ForgetPastOptions extends AdminOptions {
  readonly yes: boolean;
}

/**
 * Lets proxies serve a cluster that was restored to an older timeline: they forget the timelines that they have seen, which otherwise
 * keep them from believing in a primary that is behind. Asks for the name of the cluster first, since it gives up a protection.
 */
export async function forgetPast(
  options: ForgetPastOptions,
  terminal: Terminal = processTerminal(),
  ask: (question: string) => Promise<string | null> = askPerson,
): Promise<number> {
  const admins = findAdmins(options, terminal.env);
  if (!admins.ok) {
    terminal.complain(admins.problem);
    return EXIT_CONFIG;
  }
  const { addresses, token } = admins.value;
  try {
    const { status } = await fetchStatus(addresses[0], TIMEOUT_MS);
    const scope = status.scope;
    if (!options.yes) {
      const answer = await ask(
        `Forget timeline ${status.cluster.timeline} and everything before it? Only right when the cluster was restored, and every\n` +
          `node that was on a newer timeline is gone for good. Write the name of the cluster (${printable(scope)}) to go on: `,
      );
      if (answer?.trim() !== scope) {
        terminal.complain(
          answer === null ? 'Nothing was done: nobody can be asked here; say --yes.' : 'Nothing was done.',
        );
        return EXIT_USAGE;
      }
    }
    for (const address of addresses) {
      const body = { cluster: scope };
      const answer = await askAdmin(address, { path: '/api/v1/forget-past', body, token, timeoutMs: TIMEOUT_MS });
      if (answer.status !== 200) throw new Error(problemOf(address, answer));
      if (options.json) terminal.print(answer.text.trimEnd());
      else terminal.print(`${formatAddress(address)}: the timelines seen so far are forgotten`);
    }
    return EXIT_DONE;
  } catch (error) {
    terminal.complain(`The proxy cannot be asked: ${messageOf(error)}`);
    return EXIT_FAILED;
  }
}
