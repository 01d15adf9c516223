import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PinReason } from '../../src/sql/pin-reason.js';
import { sessionEffects } from '../../src/sql/session-effects.js';
import type { SessionEffects } from '../../src/sql/session-effects.js';
import { sql, startPostgres } from '../support/postgres-server.js';
import { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';
import { statementGroups, statementTables } from '../support/session-statements.js';

/** What a session can leave behind, one row each: its kind, and what exactly. */
const leftovers = `
  select '${PinReason.TemporaryObject}', relname from pg_class where relnamespace = pg_my_temp_schema()
  union all select '${PinReason.TemporaryObject}', proname from pg_proc where pronamespace = pg_my_temp_schema()
  union all select '${PinReason.TemporaryObject}', typname from pg_type where typnamespace = pg_my_temp_schema()
  union all select '${PinReason.AdvisoryLock}', objid::text from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
  union all select '${PinReason.CursorWithHold}', name from pg_cursors where is_holdable and name <> ''
  union all select '${PinReason.Listen}', c from pg_listening_channels() c
  union all select '${PinReason.PreparedInSql}', name from pg_prepared_statements where from_sql
  union all select '${PinReason.SessionAuthorization}', r from (select session_user || '/' || current_user) s (r)
    where r <> '${roles.superuser.user}/${roles.superuser.user}'
  union all select '${PinReason.ForeignSession}', slot_name from pg_replication_slots where temporary
  union all select 'set ' || lower(name), setting from pg_settings
    where source = 'session' and name not in ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')`;

/** Runs a string, and leaves neither a COPY nor a transaction open. */
async function run(client: RawClient, text: string): Promise<void> {
  const reply = await client.query(text);
  if (reply.types.endsWith('G')) await client.unit(frontend.copyFail('not today'));
  // A transaction that is still open keeps the session where it is; what outlives it is of interest.
  if (client.status === 'T') await client.rows('COMMIT');
  if (client.status === 'E') await client.rows('ROLLBACK');
}

/** Whether the effects account for something that was really left behind. */
function isKnown(kind: string, effects: SessionEffects): boolean {
  const pins: readonly string[] = effects.pins;
  // A statement that is not understood may have left anything.
  if (pins.includes(PinReason.UnknownStatement)) return true;
  if (!kind.startsWith('set ')) return pins.includes(kind);
  return pins.includes(PinReason.Setting) || effects.setting?.name === kind.slice('set '.length);
}

test('whatever a statement of the tables really leaves behind in PostgreSQL is known', async (t) => {
  const server = await startPostgres(t);
  await sql(server, statementTables);
  const login = (): Promise<RawClient> => RawClient.login({ port: server.port, ...roles.superuser });
  const seen = new Set<string>();
  let client = await login();
  t.after(() => client.destroy());
  for (const [text] of Object.values(statementGroups).flat()) {
    await run(client, text);
    const left = await client.rows(leftovers);
    const bytes = Buffer.from(text);
    const effects = sessionEffects(bytes, 0, bytes.length, false, false);
    for (const [kind, what] of left) {
      seen.add(kind ?? '');
      assert.ok(isKnown(kind ?? '', effects), `${text} leaves ${kind} (${what}) behind: ${JSON.stringify(effects)}`);
    }
    if (left.length === 0) continue;
    await run(client, 'DISCARD ALL');
    if ((await client.rows(leftovers)).length === 0) continue;
    await client.end();
    client = await login();
  }
  // The question itself must be able to see every kind.
  for (const kind of [
    PinReason.TemporaryObject,
    PinReason.AdvisoryLock,
    PinReason.CursorWithHold,
    PinReason.Listen,
    PinReason.PreparedInSql,
    PinReason.SessionAuthorization,
    PinReason.ForeignSession,
    'set search_path',
    'set timezone',
    'set default_transaction_read_only',
  ]) {
    assert.ok(seen.has(kind), `no statement left ${kind} behind`);
  }
});
