import assert from 'node:assert/strict';
import type { Session } from '../../src/session/session.js';
import type { PinReason } from '../../src/sql/pin-reason.js';
import { waitFor } from '../support/processes.js';
import type { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import type { RawReply } from '../support/raw-reply.js';

const { parse, bind, execute, sync, close, query } = frontend;

/** One unit of a client. */
export type Step =
  | { readonly kind: 'simple'; readonly statements: readonly string[] }
  /** Unnamed statements in one batch. */
  | { readonly kind: 'batch'; readonly statements: readonly string[] }
  | { readonly kind: 'prepare'; readonly name: string; readonly statement: string }
  | { readonly kind: 'run'; readonly name: string }
  | { readonly kind: 'close'; readonly name: string }
  | { readonly kind: 'prepare_unnamed'; readonly statement: string }
  | { readonly kind: 'run_unnamed' }
  /** To another backend, if there is nothing that pins the session. */
  | { readonly kind: 'move' };

/** Names of settings that are made up, to be asked for one by one. */
export const madeUpNames = ['app.a', 'app.b', 'app.c', 'app.d'] as const;

/** Everything that a session has and that can be asked for; the same question to both. */
export const questions: readonly string[] = [
  'show all',
  `select name, from_sql, parameter_types::text from pg_catalog.pg_prepared_statements order by 1`,
  'select * from pg_catalog.pg_listening_channels() order by 1',
  'select current_user, session_user',
  ...madeUpNames.map((name) => `select pg_catalog.current_setting('${name}', true)`),
];
const leftovers =
  `select 'temporary_object', count(*)::text from pg_catalog.pg_class where relnamespace = pg_catalog.pg_my_temp_schema() ` +
  `and relkind in ('r', 'v', 'S') union all select 'temporary_object', count(*)::text from pg_catalog.pg_proc where pronamespace = pg_catalog.pg_my_temp_schema() ` +
  `union all select 'advisory_lock', count(*)::text from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_catalog.pg_backend_pid() ` +
  `union all select 'cursor_with_hold', count(*)::text from pg_catalog.pg_cursors where is_holdable and name <> ''`;

/** The messages of one unit. */
export function messagesOf(step: Step): readonly Buffer[] {
  switch (step.kind) {
    case 'simple':
      return [query(step.statements.join('; '))];
    case 'batch':
      return [...step.statements.flatMap((sql) => [parse(sql), bind(), execute()]), sync()];
    case 'prepare':
      return [parse(step.statement, { name: step.name }), sync()];
    case 'run':
      return [bind({ statement: step.name }), execute(), sync()];
    case 'close':
      return [close('S', step.name), sync()];
    case 'prepare_unnamed':
      return [parse(step.statement), sync()];
    case 'run_unnamed':
      return [bind(), execute(), sync()];
    case 'move':
    default:
      return [];
  }
}

/** The same for a session on a server and for one behind the proxy. */
export function essence({ types, rows, tags, error, status }: RawReply): object {
  return { types: types.replaceAll(/[NSA]/g, ''), rows, tags, error: error?.code ?? null, status };
}

/** Asks without touching the unnamed statement, so as to change nothing. */
export async function ask(client: RawClient, sql: string): Promise<RawReply['rows']> {
  const name = 'a_question';
  const reply = await client.unit(parse(sql, { name }), bind({ statement: name }), execute(), close('S', name), sync());
  assert.equal(reply.error, null, `${sql}: ${reply.error?.message}`);
  // A library that was loaded stays loaded, also where its backend serves another session.
  return reply.rows.filter(([first]) => first !== name && first?.startsWith('plpgsql.') !== true);
}

export interface MoveCounts {
  steps: number;
  moves: number;
  pinned: number;
  overPinned: number;
}

/** The same client twice: on a server, and behind the proxy with its session moved about. */
export class Twins {
  readonly #direct: RawClient;
  readonly #proxied: RawClient;
  readonly #session: Session;
  readonly #counts: MoveCounts;
  readonly #overPinned: (what: string) => void;

  constructor(
    direct: RawClient,
    proxied: RawClient,
    session: Session,
    counts: MoveCounts,
    overPinned: (what: string) => void,
  ) {
    this.#direct = direct;
    this.#proxied = proxied;
    this.#session = session;
    this.#counts = counts;
    this.#overPinned = overPinned;
  }

  async take(step: Step): Promise<void> {
    if (step.kind === 'move') {
      await this.#move();
      return;
    }
    this.#counts.steps += 1;
    const bytes = messagesOf(step);
    const [expected, found] = await Promise.all([this.#direct.unit(...bytes), this.#proxied.unit(...bytes)]);
    assert.deepEqual(essence(found), essence(expected), JSON.stringify(step));
  }

  /** Both have the same in the end. */
  async compare(): Promise<void> {
    if (this.#direct.status !== 'I') return;
    for (const question of [...questions, leftovers]) {
      const [expected, found] = await Promise.all([ask(this.#direct, question), ask(this.#proxied, question)]);
      assert.deepEqual(found, expected, question);
    }
  }

  async #move(): Promise<void> {
    const session = this.#session;
    if (this.#direct.status !== 'I') return;
    if (session.node !== null) session.inspect(session.node);
    await waitFor(() => session.isAtBoundary, { timeoutMs: 10_000, what: 'the inspection to end' });
    const { pinReason, node } = session;
    if (node === null) return;
    if (pinReason === null) {
      this.#counts.moves += 1;
      session.leaveIfIdle(node);
      assert.equal(session.node, null);
      await this.compare();
    } else await this.#checkPin(pinReason);
  }

  async #checkPin(reason: PinReason): Promise<void> {
    this.#counts.pinned += 1;
    const rows = await ask(this.#direct, leftovers);
    const isTrue = rows.some(([kind, count]) => kind === reason && count !== '0');
    if (isTrue) return;
    this.#counts.overPinned += 1;
    this.#overPinned(reason);
  }
}
