import { SwitchyardError } from '../../errors.js';
import type { ShutdownMode } from './controls.js';
import { nextToken } from './tokens.js';
import type { Token } from './tokens.js';

/** Tables that SHOW has. The first lines are PgBouncer's. */
export const SHOWN = [
  'ACTIVE_SOCKETS',
  'CLIENTS',
  'CONFIG',
  'DATABASES',
  'LISTS',
  'MEM',
  'POOLS',
  'SERVERS',
  'SOCKETS',
  'STATE',
  'STATS',
  'STATS_AVERAGES',
  'STATS_TOTALS',
  'TOTALS',
  'USERS',
  'VERSION',
  'EVENTS',
  'LAG',
  'LISTENERS',
  'NODES',
  'PINS',
  'PREPARED_STATEMENTS',
  'ROUTES',
] as const;
export type Shown = (typeof SHOWN)[number];

/** What PgBouncer shows and a proxy like this has not, with what to look at instead. */
const NOT_SHOWN: ReadonlyMap<string, string> = new Map([
  ['PEERS', 'Cancel requests need no peers here; SHOW LISTENERS lists where this process listens.'],
  ['PEER_POOLS', 'Cancel requests need no peers here; SHOW POOLS lists the pools.'],
  ['DNS_HOSTS', 'Names are resolved by the system at each dial; SHOW NODES lists where the nodes are.'],
  ['DNS_ZONES', 'Names are resolved by the system at each dial; SHOW NODES lists where the nodes are.'],
  ['FDS', 'Sockets are not handed to another process; SHOW SOCKETS lists them.'],
]);

/** Settings that drivers look at or set without being asked, with the values that they see here. */
const SETTINGS: ReadonlyMap<string, string> = new Map([
  ['client_encoding', 'UTF8'],
  ['datestyle', 'ISO'],
  ['default_transaction_isolation', 'read committed'],
  ['standard_conforming_strings', 'on'],
  ['timezone', 'GMT'],
  ['transaction_isolation', 'read committed'],
  ['transaction_read_only', 'off'],
]);
/** Those that they only set. */
const IGNORED_SETTINGS: ReadonlySet<string> = new Set([
  ...SETTINGS.keys(),
  'application_name',
  'bytea_output',
  'client_min_messages',
  'default_transaction_read_only',
  'extra_float_digits',
  'idle_in_transaction_session_timeout',
  'intervalstyle',
  'lock_timeout',
  'search_path',
  'session',
  'statement_timeout',
  'time',
  'transaction',
]);

/** Commands that begin or end a transaction: drivers send them by themselves, and there is nothing to be rolled back here. */
const TRANSACTION_TAGS: ReadonlyMap<string, string> = new Map([
  ['BEGIN', 'BEGIN'],
  ['START', 'START TRANSACTION'],
  ['COMMIT', 'COMMIT'],
  ['END', 'COMMIT'],
  ['ROLLBACK', 'ROLLBACK'],
  ['ABORT', 'ROLLBACK'],
]);

/** What the commands that do something take: nothing, perhaps a name, or a name. */
const ACTIONS = {
  DISABLE: 'name',
  DRAIN: 'name',
  ENABLE: 'name',
  KILL: 'perhaps',
  KILL_CLIENT: 'name',
  PAUSE: 'perhaps',
  RECONNECT: 'perhaps',
  RELOAD: 'nothing',
  RESUME: 'perhaps',
  SHUTDOWN: 'perhaps',
  SWITCHOVER: 'name',
  UNDRAIN: 'name',
  WAIT_CLOSE: 'perhaps',
} as const;
export type Action = keyof typeof ACTIONS;

const SHUTDOWN_MODES: ReadonlyMap<string, ShutdownMode> = new Map([
  ['WAIT_FOR_SERVERS', 'wait_for_servers'],
  ['WAIT_FOR_CLIENTS', 'wait_for_clients'],
]);

/** Something that the console was asked for. */
export type Command =
  | { readonly kind: 'show'; readonly what: Shown }
  | { readonly kind: 'setting'; readonly name: string; readonly value: string }
  | { readonly kind: 'help' }
  | { readonly kind: 'explain'; readonly database: string | null; readonly sql: string }
  | { readonly kind: 'ignored'; readonly tag: string }
  | { readonly kind: 'set'; readonly key: string; readonly value: string }
  | { readonly kind: 'shutdown'; readonly mode: ShutdownMode }
  | { readonly kind: 'action'; readonly action: Exclude<Action, 'SHUTDOWN'>; readonly name: string | null };

/** What there is to be asked for, a line for each. */
export const HELP = [
  `SHOW HELP|${SHOWN.join('|')}`,
  'EXPLAIN ROUTE [IN <database>] <statement>',
  'SET key = value',
  'RELOAD',
  'PAUSE [<database>]',
  'RESUME [<database>]',
  'DISABLE <database>',
  'ENABLE <database>',
  'RECONNECT [<database>]',
  'WAIT_CLOSE [<database>]',
  'KILL [<database>]',
  'KILL_CLIENT <client id>',
  'DRAIN <node>',
  'UNDRAIN <node>',
  'SWITCHOVER [TO] <node>',
  'SHUTDOWN',
  'SHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS',
] as const;

/** Reads one command after the other; the text may hold none. */
export class CommandReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /**
   * The next command; null: there is none.
   * @throws SwitchyardError `bad_command`, `not_available`
   */
  next(): Command | null {
    let first = this.#take();
    while (first !== null && isSemicolon(first)) first = this.#take();
    if (first === null) return null;
    const verb = first.kind === 'word' ? first.value.toUpperCase() : '';
    if (verb === 'EXPLAIN') return this.#explain();
    const rest: Token[] = [];
    for (let token = this.#take(); token !== null && !isSemicolon(token); token = this.#take()) rest.push(token);
    return read(verb, rest) ?? fail(this.#text);
  }

  #take(): Token | null {
    const token = nextToken(this.#text, this.#at);
    if (token !== null) this.#at = token.end;
    return token;
  }

  /** All that follows belongs to it. */
  #explain(): Command {
    const route = this.#take();
    if (route?.kind !== 'word' || route.value.toUpperCase() !== 'ROUTE') fail(this.#text);
    let from = this.#at;
    let database: string | null = null;
    const next = nextToken(this.#text, from);
    if (next?.kind === 'word' && next.value.toUpperCase() === 'IN') {
      const name = nextToken(this.#text, next.end);
      if (name?.kind !== 'word' && name?.kind !== 'name') fail(this.#text);
      database = name.value;
      from = name.end;
    }
    const sql = this.#text.slice(from).trim();
    this.#at = this.#text.length;
    return sql === '' ? fail(this.#text) : { kind: 'explain', database, sql };
  }
}

/** Null: it is not understood. */
function read(verb: string, rest: readonly Token[]): Command | null {
  if (verb === 'SHOW') return readShow(rest);
  if (verb === 'SET') return readSet(rest);
  if (verb === 'HELP') return rest.length === 0 ? { kind: 'help' } : null;
  if (verb === 'SUSPEND') {
    throw new SwitchyardError('not_available', 'there is no SUSPEND', {
      hint: 'PAUSE waits until no backend is in use.',
    });
  }
  const tag = TRANSACTION_TAGS.get(verb);
  if (tag !== undefined) return { kind: 'ignored', tag };
  return isAction(verb) ? readAction(verb, rest) : null;
}

function readShow(rest: readonly Token[]): Command | null {
  const [token] = rest;
  const words = rest.map(({ value }) => value.toUpperCase()).join(' ');
  if (token?.kind === 'text') return null;
  if (words === 'HELP') return { kind: 'help' };
  const what = SHOWN.find((name) => name === words);
  if (what !== undefined) return { kind: 'show', what };
  const hint = NOT_SHOWN.get(words);
  if (hint !== undefined) throw new SwitchyardError('not_available', `there is no SHOW ${words}`, { hint });
  const name = words === 'TRANSACTION ISOLATION LEVEL' ? 'transaction_isolation' : words.toLowerCase();
  const value = SETTINGS.get(name);
  return value === undefined ? null : { kind: 'setting', name, value };
}

function readSet(rest: readonly Token[]): Command | null {
  const scope = rest[0]?.value.toUpperCase();
  const words =
    scope === 'LOCAL' || (scope === 'SESSION' && rest[1]?.value.toUpperCase() !== 'CHARACTERISTICS')
      ? rest.slice(1)
      : rest;
  const [key, sign, value] = words;
  if (key === undefined || (key.kind !== 'word' && key.kind !== 'name')) return null;
  if (IGNORED_SETTINGS.has(key.value.toLowerCase())) return words.length < 2 ? null : { kind: 'ignored', tag: 'SET' };
  const isSign = sign?.value === '=' || (sign?.kind === 'word' && sign.value.toUpperCase() === 'TO');
  if (!isSign || value === undefined || value.kind === 'symbol' || words.length > 3) return null;
  return { kind: 'set', key: key.value, value: value.value };
}

function readAction(action: Action, rest: readonly Token[]): Command | null {
  const isTo = action === 'SWITCHOVER' && rest.length === 2 && rest[0]?.value.toUpperCase() === 'TO';
  const [name = null, ...more] = isTo ? rest.slice(1) : rest;
  const takes = ACTIONS[action];
  const isWrong = name === null ? takes === 'name' : takes === 'nothing' || name.kind === 'symbol' || name.value === '';
  if (isWrong || more.length > 0) return null;
  if (action === 'SHUTDOWN') {
    const mode = name === null ? 'now' : SHUTDOWN_MODES.get(name.value.toUpperCase());
    return mode === undefined ? null : { kind: 'shutdown', mode };
  }
  return { kind: 'action', action, name: name?.value ?? null };
}

function isAction(verb: string): verb is Action {
  return Object.hasOwn(ACTIONS, verb);
}

function isSemicolon({ kind, value }: Token): boolean {
  return kind === 'symbol' && value === ';';
}

/** Of a text that is not understood so much is said back. */
const QUOTED_CHARS_MAX = 200;

function fail(text: string): never {
  const shown = text.trim();
  const quoted = shown.length > QUOTED_CHARS_MAX ? `${shown.slice(0, QUOTED_CHARS_MAX)}...` : shown;
  throw new SwitchyardError('bad_command', `invalid command '${quoted}', use SHOW HELP;`, {
    detail: `There is:\n\t${HELP.join('\n\t')}`,
  });
}
