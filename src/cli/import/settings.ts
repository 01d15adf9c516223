import { parseDuration } from '../../util/units.js';
import { count, countUnless0, word } from './converters.js';
import { Rank } from './draft.js';
import { Verdict, formatPlace } from './finding.js';
import type { Place } from './finding.js';
import type { Directive, Section } from './haproxy.js';
import type { Proxy } from './haproxy-proxies.js';
import { GLOBAL_TABLE, HAPROXY_OPTIONS, HAPROXY_READ, HAPROXY_TABLE, PROXY_TABLE } from './haproxy-table.js';
import type { Pgbouncer } from './pgbouncer.js';
import { DATABASE_TABLE, PGBOUNCER_TABLE, RESERVE_ROWS, USER_TABLE } from './pgbouncer-table.js';
import { carryOver } from './work.js';
import type { Work } from './work.js';

/** Keys of an entry of [databases] that say where it leads and how to log in; others read them. */
const DATABASE_READ: ReadonlySet<string> = new Set([
  ...['host', 'port', 'dbname', 'user', 'password', 'auth_user', 'auth_query', 'auth_dbname'],
]);

/** Carries [pgbouncer] over, setting by setting, and tells of what has no counterpart there, in [databases], [users] and [peers]. */
export function carryPgbouncer({ settings, databases, users, peers }: Pgbouncer, work: Work): void {
  const { tell } = work;
  for (const [name, row] of Object.entries(PGBOUNCER_TABLE)) {
    const setting = settings.get(name);
    if ('to' in row) {
      const value = setting?.value ?? row.implied;
      const rank = setting === undefined ? Rank.Default : Rank.Pgbouncer;
      if (value !== undefined) carryOver(row, { name, value, place: setting?.place ?? null, rank }, work);
    } else if ('say' in row && setting !== undefined && row.unless?.includes(setting.value.toLowerCase()) !== true) {
      tell({ verdict: row.say, place: setting.place, subject: name, advice: row.advice });
    }
  }
  for (const [name, { place }] of settings) {
    if (Object.hasOwn(PGBOUNCER_TABLE, name)) continue;
    tell({
      verdict: Verdict.Broken,
      place,
      subject: name,
      advice: 'PgBouncer 1.25 has no such setting; it is passed over',
    });
  }
  carryPoolMode(settings.get('pool_mode'), work);
  carryPoolSizes(settings, work);
  for (const [section, entries, table, read] of [
    ['databases', databases, DATABASE_TABLE, DATABASE_READ],
    ['users', users, USER_TABLE, new Set<string>()],
  ] as const) {
    for (const { name, place, values } of entries) {
      let mayBeSecret = false;
      for (const key of values.keys()) {
        const advice = Object.hasOwn(table, key) ? table[key] : undefined;
        // A password with a blank in it that nobody quoted goes on as the next key.
        const shown = advice === undefined && mayBeSecret ? 'a key behind its password' : key;
        mayBeSecret ||= key === 'password';
        if (read.has(key)) continue;
        const subject = `[${section}] ${name}: ${shown}`;
        if (advice !== undefined) tell({ verdict: Verdict.None, place, subject, advice });
        else
          tell({
            verdict: Verdict.Broken,
            place,
            subject,
            advice: 'PgBouncer 1.25 has no such key; it is passed over',
          });
      }
    }
  }
  const [peer] = peers;
  if (peer !== undefined) {
    const advice =
      'instances know nothing of each other: send the clients of one host to one of them, so that cancel requests reach it';
    tell({ verdict: Verdict.None, place: peer.place, subject: '[peers]', advice });
  }
}

function carryPoolMode(setting: { readonly value: string; readonly place: Place } | undefined, work: Work): void {
  const { draft, tell } = work;
  const mode = (setting?.value ?? 'session').trim().toLowerCase();
  const place = setting?.place ?? null;
  const differs = (advice: string): void => tell({ verdict: Verdict.Differs, place, subject: 'pool_mode', advice });
  if (!['session', 'transaction', 'statement'].includes(mode)) {
    tell({
      verdict: Verdict.Broken,
      place,
      subject: 'pool_mode',
      advice: 'PgBouncer has no such mode; session is written',
    });
  }
  const wanted = mode === 'statement' ? 'transaction' : mode;
  const row = { to: ['pool.mode'], as: word };
  if (draft.knows('pool.mode', wanted)) {
    if (mode === 'statement') differs('transaction is written: transactions of several statements are not refused');
    const note = { note: 'Settings, prepared statements and LISTEN of a session follow it from backend to backend.' };
    carryOver(
      { ...row, ...(wanted === 'transaction' ? note : {}) },
      { name: 'pool_mode', value: wanted, place, rank: place === null ? Rank.Default : Rank.Pgbouncer },
      work,
    );
    return;
  }
  if (mode === 'transaction' || mode === 'statement') {
    differs(
      'this version pools sessions only: pool.size has to be as large as the number of clients of one user and database',
    );
  }
  carryOver(row, { name: 'pool_mode', value: 'session', place, rank: Rank.Pgbouncer }, work);
}

/** PgBouncer cuts the least size of a pool at its largest one; a reserve that is never waited for is none. */
function carryPoolSizes(settings: Pgbouncer['settings'], work: Work): void {
  const isOff = Number(settings.get('reserve_pool_timeout')?.value ?? '5') === 0;
  for (const [name, row] of Object.entries(RESERVE_ROWS)) {
    const setting = settings.get(name);
    if (setting === undefined || (isOff && name !== 'min_pool_size')) continue;
    carryOver(row, { name, ...setting, rank: Rank.Pgbouncer }, work);
  }
  const { draft } = work;
  const [least, most, idle] = [
    draft.get('pool.min_size'),
    draft.get('pool.size'),
    draft.defaultNumber('pool.max_idle'),
  ];
  if (most === null) return;
  const notes = ['It cannot be above size.'];
  if (least !== null && Number(least.value) > Number(most.value)) {
    draft.set(['pool.min_size'], most.value, least.from, { notes });
  }
  if (idle !== null && idle > Number(most.value)) draft.set(['pool.max_idle'], most.value, most.from, { notes });
}

/**
 * Carries over what HAProxy says about connections, and tells of every other line of its file.
 * @param used the proxies that have become listeners, and the backends behind them
 * @param isAlone there is no PgBouncer
 */
export function carryHaproxy(sections: readonly Section[], used: readonly Proxy[], isAlone: boolean, work: Work): void {
  for (const [name, row] of Object.entries(PROXY_TABLE)) {
    const found = used.flatMap(({ settings }) => settings.get(name) ?? []);
    const largest = largestOf(found, (value) => {
      const read = row.as(value);
      const duration = read.ok && typeof read.value === 'string' ? parseDuration(read.value) : null;
      return duration?.ok === true ? duration.value : -1;
    });
    if (largest === null) continue;
    const other = found.find(({ value }) => value !== largest.value);
    if (other !== undefined) {
      const advice = `is the same for all listeners: that of ${formatPlace(largest.place)} is written, the longest`;
      work.tell({ verdict: Verdict.Differs, place: other.place, subject: name, advice });
    }
    carryOver(row, { name, ...largest, rank: Rank.Haproxy }, work);
  }
  const bounds = used.flatMap(({ servers }) =>
    servers.flatMap(({ options, place }) => {
      const value = options.get('maxconn');
      return value === undefined ? [] : [{ value, place }];
    }),
  );
  const bound = largestOf(bounds, sizeOf);
  // HAProxy knows no users: what PgBouncer says about them counts more.
  if (bound !== null) {
    for (const key of ['pool.max_backends_per_node', ...(isAlone ? ['pool.size'] : [])]) {
      carryOver({ to: [key], as: countUnless0 }, { name: 'server ... maxconn', ...bound, rank: Rank.Haproxy }, work);
    }
  } else if (isAlone) {
    const advice =
      'HAProxy had no maxconn for its servers; here pool.size (100) bounds the sessions of a user and database on a node';
    work.tell({ verdict: Verdict.Differs, place: null, subject: 'pool.size', advice });
  }
  for (const section of sections) tellOfSection(section, used, work);
}

function sizeOf(value: string): number {
  const read = count(value);
  return read.ok ? read.value : -1;
}

function largestOf<T extends { readonly value: string }>(
  found: readonly T[],
  size: (value: string) => number,
): T | null {
  let largest: T | null = null;
  for (const each of found) if (largest === null || size(each.value) > size(largest.value)) largest = each;
  return largest;
}

/** Sections whose lines are about connections. */
const PROXY_KINDS: ReadonlySet<string> = new Set(['global', 'defaults', 'frontend', 'backend', 'listen']);

function tellOfSection(section: Section, used: readonly Proxy[], work: Work): void {
  const { kind, place, name } = section;
  if (!PROXY_KINDS.has(kind)) {
    const advice = 'says something to HAProxy alone; passwords and names of peers in it are not carried over';
    work.tell({ verdict: Verdict.Needless, place, subject: `${kind} ${name}`.trim(), advice });
    return;
  }
  // What becomes of a proxy as a whole is said elsewhere; its lines are of interest only where it becomes a listener.
  const isProxy = kind !== 'global' && kind !== 'defaults';
  if (isProxy && !used.some((proxy) => proxy.place === place)) return;
  for (const directive of section.directives) tellOfDirective(directive, kind, work);
}

function tellOfDirective({ words, place }: Directive, kind: string, work: Work): void {
  const [first, second = ''] = words;
  const both = `${first} ${second}`;
  const row = kind === 'global' && Object.hasOwn(GLOBAL_TABLE, first) ? GLOBAL_TABLE[first] : undefined;
  if (row !== undefined) {
    carryOver(row, { name: first, value: second, place, rank: Rank.Haproxy }, work);
    return;
  }
  if (HAPROXY_READ.has(first) || HAPROXY_READ.has(both)) {
    if (first === 'maxconn') {
      const advice = 'clients of all listeners are counted together: limits.max_clients';
      work.tell({ verdict: Verdict.None, place, subject: first, advice });
    }
    if (first === 'server' || first === 'default-server' || first === 'bind') tellOfOptions(words, place, work);
    return;
  }
  const named = [both, first, ...(first.startsWith('tune.') ? ['tune.'] : [])].find((key) =>
    Object.hasOwn(HAPROXY_TABLE, key),
  );
  const [verdict, advice] = (named === undefined ? undefined : HAPROXY_TABLE[named]) ?? [
    Verdict.None,
    'is not known to this import: see what it does in the manual of HAProxy',
  ];
  // The second word is only shown where it is one of HAProxy's, not one of yours: it may be a password.
  const subject = named === both || first === 'option' || first === 'timeout' ? both : first;
  work.tell({ verdict, place, subject, advice });
}

function tellOfOptions(words: readonly string[], place: Place, { tell }: Work): void {
  const from = words[0] === 'default-server' ? 1 : words[0] === 'server' ? 3 : 2;
  for (const option of words.slice(from)) {
    if (!Object.hasOwn(HAPROXY_OPTIONS, option)) continue;
    const [verdict, advice] = HAPROXY_OPTIONS[option] ?? [Verdict.None, ''];
    tell({ verdict, place, subject: `${words[0] ?? ''} ... ${option}`, advice });
  }
}
