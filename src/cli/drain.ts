import type { DrainDocument } from '../admin/drain-document.js';
import { formatAddress } from '../config/address.js';
import type { HostPort } from '../config/address.js';
import { messageOf } from '../errors.js';
import { callDrain, cancelDrain, describeLeft, isEmptied } from './admin/drain-call.js';
import { findAdmins } from './admin/find-admins.js';
import type { Admins } from './admin/find-admins.js';
import type { AdminOptions } from './options.js';
import { printable, processTerminal } from './terminal.js';
import type { Terminal } from './terminal.js';

const EXIT_EMPTY = 0;
const EXIT_FAILED = 1;
/** Sessions are left on the node. */
const EXIT_NOT_EMPTY = 3;
/** As of BSD's sysexits (EX_CONFIG). */
const EXIT_CONFIG = 78;

export interface DrainOptions extends AdminOptions {
  /** Null: the primary. */
  readonly node: string | null;
  readonly wait: boolean;
  readonly cancel: boolean;
  readonly timeoutMs: number;
}

/** Tells every proxy that a node is about to be stopped, and waits until nothing is left on it that the stop would end. */
export async function drain(options: DrainOptions, terminal: Terminal = processTerminal()): Promise<number> {
  const admins = findAdmins(options, terminal.env);
  if (!admins.ok) {
    terminal.complain(admins.problem);
    return EXIT_CONFIG;
  }
  const { addresses } = admins.value;
  const one = options.cancel ? cancelOne : drainOne;
  const codes = await Promise.all(
    addresses.map(async (address) => {
      try {
        return await one(address, admins.value, options, terminal);
      } catch (error) {
        terminal.complain(`The proxy cannot be asked: ${messageOf(error)}`);
        return EXIT_FAILED;
      }
    }),
  );
  if (codes.includes(EXIT_FAILED)) return EXIT_FAILED;
  return codes.includes(EXIT_NOT_EMPTY) ? EXIT_NOT_EMPTY : EXIT_EMPTY;
}

async function drainOne(
  address: HostPort,
  { token, addresses }: Admins,
  options: DrainOptions,
  terminal: Terminal,
): Promise<number> {
  const { node, wait, timeoutMs } = options;
  const who = addresses.length > 1 ? `${formatAddress(address)}: ` : '';
  const tell = (progress: DrainDocument): void => {
    if (options.json) terminal.print(JSON.stringify({ admin: formatAddress(address), ...progress }));
    else terminal.print(`${who}${describe(progress)}`);
  };
  const wish = node === null ? { primary: true as const } : { node };
  const last = await callDrain(address, token, { ...wish, wait, timeoutMs }, tell);
  return !wait || isEmptied(last) ? EXIT_EMPTY : EXIT_NOT_EMPTY;
}

async function cancelOne(
  address: HostPort,
  { token }: Admins,
  { node, json }: DrainOptions,
  terminal: Terminal,
): Promise<number> {
  const cancelled = await cancelDrain(address, token, node);
  const admin = formatAddress(address);
  if (json) terminal.print(JSON.stringify({ admin, cancelled }));
  else
    terminal.print(
      `${admin}: ${cancelled.length === 0 ? 'nothing is drained' : `not drained any more: ${printable(cancelled.join(', '))}`}`,
    );
  return EXIT_EMPTY;
}

function describe(progress: DrainDocument): string {
  const { verdict, end, sinceSeconds } = progress;
  const node = `${printable(progress.node)} (${progress.target})`;
  const after = `after ${sinceSeconds.toFixed(1)} s`;
  if (verdict === 'empty') return `${node} is empty ${after}`;
  const left = printable(describeLeft(progress));
  if (verdict === 'unmovable') return `${node} has ${left} left that cannot move: the stop of the node will end them`;
  if (verdict === 'timed_out') return `${node} still has ${left} ${after}`;
  if (end === 'gone') return `${node} has stopped, or has another role`;
  if (end !== null) return `the drain of ${node} is over (${printable(end)}): ${left} left`;
  return `${node}: waiting for ${left}`;
}
