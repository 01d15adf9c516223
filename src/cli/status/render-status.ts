import type { StatusDocument, StatusNode } from '../../admin/status-document.js';
import { formatAddress } from '../../config/address.js';
import { coloured, printable } from '../terminal.js';
import type { Colour, Terminal } from '../terminal.js';
import { renderTable } from './table.js';
import type { Cell, Column } from './table.js';

const BYTES_PER_MB = 1024 * 1024;

const COLUMNS: readonly Column[] = [
  { title: 'Node', align: 'start' },
  { title: 'Host', align: 'start' },
  { title: 'Role', align: 'start' },
  { title: 'Health', align: 'start' },
  { title: 'TL', align: 'end' },
  { title: 'Lag', align: 'end' },
  { title: 'Sessions', align: 'end' },
  { title: 'Backends', align: 'end' },
  { title: 'Reason', align: 'start' },
];

/** The status for people: a line about the whole, a table of the nodes, and lines about the listeners and who waits. */
export function renderStatus(status: StatusDocument, terminal: Pick<Terminal, 'columns' | 'hasColour'>): string {
  const { columns, hasColour } = terminal;
  const rows = status.nodes.map((node) => rowOf(node));
  return [
    headline(status, hasColour),
    ...renderTable(COLUMNS, rows, columns, hasColour),
    ...listenerLines(status, hasColour),
    sessionLine(status),
    ...remarks(status),
  ].join('\n');
}

function headline({ scope, ready, promotion, dcs, cluster, version }: StatusDocument, hasColour: boolean): string {
  const state = coloured(ready ? 'ready' : 'not ready', ready ? 'green' : 'red', hasColour);
  const age = dcs.ageSeconds === null ? 'never confirmed' : `confirmed ${formatSeconds(dcs.ageSeconds)} ago`;
  const dcsState = coloured(printable(dcs.state), dcs.state === 'live' ? null : 'yellow', hasColour);
  const paused = cluster.paused ? ', maintenance mode' : '';
  const phase = printable(promotion.phase);
  return `Cluster ${printable(scope)}: ${state}, phase ${phase}, DCS ${dcsState} (${age})${paused}; switchyard ${printable(version)}`;
}

function rowOf(node: StatusNode): Cell[] {
  return [
    { text: printable(node.name) },
    { text: printable(formatAddress(node)) },
    { text: printable(node.role) + (node.synchronous ? ' (sync)' : '') },
    { text: printable(node.health), colour: colourOf(node.health) },
    { text: node.timeline === null ? '' : String(node.timeline) },
    { text: lagOf(node) },
    { text: String(node.sessions) },
    { text: String(node.backends.total) },
    { text: printable(node.reason ?? '') },
  ];
}

function colourOf(health: string): Colour {
  if (health === 'healthy') return 'green';
  return health === 'unreachable' ? 'red' : 'yellow';
}

function lagOf({ role, lagBytes, lagSeconds }: StatusNode): string {
  if (role === 'primary') return '';
  if (lagBytes === null && lagSeconds === null) return 'unknown';
  const bytes = lagBytes === null ? '? MB' : formatMegabytes(lagBytes);
  return `${bytes}, ${lagSeconds === null ? '? s' : formatSeconds(lagSeconds)}`;
}

/** What is small is not nothing. */
function formatMegabytes(bytes: number): string {
  if (bytes === 0) return '0 MB';
  const megabytes = bytes / BYTES_PER_MB;
  if (megabytes < 0.1) return '<0.1 MB';
  return megabytes < 100 ? `${megabytes.toFixed(1)} MB` : `${Math.round(megabytes)} MB`;
}

function formatSeconds(seconds: number): string {
  if (seconds === 0) return '0 s';
  return seconds < 10 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
}

function listenerLines({ listeners }: StatusDocument, hasColour: boolean): string[] {
  const rows = listeners.map((listener) => [
    printable(listener.name),
    printable(formatAddress(listener)),
    `route ${printable(listener.route)}`,
    count(listener.sessions, 'session'),
  ]);
  const widths = [0, 1, 2, 3].map((index) => Math.max(0, ...rows.map((row) => row[index]?.length ?? 0)));
  return listeners.map(({ ready, reason }, index) => {
    const parts = rows[index]?.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  ') ?? '';
    const trouble = ready ? '' : coloured(`  ${printable(reason ?? 'not served')}`, 'red', hasColour);
    return `Listener ${parts}${trouble}`.trimEnd();
  });
}

function sessionLine({ sessions, held }: StatusDocument): string {
  const { total, idle, active, waiting, startups, max } = sessions;
  const parts = [`${idle} idle`, `${active} active`, `${waiting} waiting`];
  if (startups > 0) parts.push(`${startups} logging in`);
  const line = `Sessions ${total} of at most ${max}: ${parts.join(', ')}`;
  if (held.total === 0) return line;
  const age = held.oldestSeconds === null ? '' : `, the oldest for ${formatSeconds(held.oldestSeconds)}`;
  return `${line}\nHeld     ${count(held.total, 'session')} (${held.primary} for the primary, ${held.standby} for a standby)${age}`;
}

/** What is worth a line of its own. */
function remarks({ ready, reason, promotion, dcs, cluster, drains, pauses }: StatusDocument): string[] {
  const lines: string[] = [];
  if (pauses.all || pauses.databases.length > 0) {
    const what = pauses.all ? 'all databases' : pauses.databases.map(printable).join(', ');
    lines.push(`Paused   ${what}: ${count(pauses.waiting, 'session')} waiting for RESUME`);
  }
  if (pauses.disabled.length > 0) lines.push(`Disabled ${pauses.disabled.map(printable).join(', ')}`);
  if (!ready && reason !== null) lines.push(`Not ready: ${printable(reason)}`);
  if (promotion.reason !== null && promotion.disturbedSeconds !== null) {
    const what = promotion.admits === 'repeatable' ? 'Transactions' : 'Units';
    lines.push(
      `${what} for the primary have waited for ${formatSeconds(promotion.disturbedSeconds)}: ${printable(promotion.reason)}`,
    );
  }
  for (const { node, target, sessions, sinceSeconds } of drains) {
    const left = sessions === 0 ? 'it is empty' : `${count(sessions, 'session')} left`;
    lines.push(`Drained for ${formatSeconds(sinceSeconds)}: ${printable(node)} (${printable(target)}), ${left}`);
  }
  if (dcs.trouble !== null) lines.push(`DCS: ${printable(dcs.trouble)}`);
  const { switchover } = cluster;
  if (switchover !== null) {
    const from = switchover.leader === null ? '' : ` from ${printable(switchover.leader)}`;
    const to = switchover.candidate === null ? '' : ` to ${printable(switchover.candidate)}`;
    const when = switchover.scheduledAt === null ? 'now' : `at ${printable(switchover.scheduledAt)}`;
    lines.push(`Switchover${from}${to} asked for, ${when}`);
  }
  return lines;
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`;
}
