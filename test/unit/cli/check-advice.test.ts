import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeError } from '../../../src/backend/node-error.js';
import { mendLogin, mendUserLookup, quoteName } from '../../../src/cli/check/advice.js';
import type { MonitorConfig } from '../../../src/config/schema.js';
import { SwitchyardError } from '../../../src/errors.js';

const MONITOR: MonitorConfig = {
  user: 'switchyard',
  password: 'known only to us',
  database: 'postgres',
  intervalMs: 250,
  promotionIntervalMs: 25,
  timeoutMs: 2000,
  connectIntervalMs: 5000,
};

function refusal(sqlState: string, message: string): NodeError {
  const body = Buffer.from(`SFATAL\0VFATAL\0C${sqlState}\0M${message}\0\0`);
  return NodeError.read(body, 0, body.length);
}

function advice(error: unknown, over: Partial<MonitorConfig> = {}): string {
  return mendLogin(error, { ...MONITOR, ...over }).join('\n');
}

test('a wrong password may be a missing role: both ways to mend it are given', () => {
  const text = advice(refusal('28P01', 'password authentication failed for user "switchyard"'));
  assert.match(text, /CREATE ROLE switchyard LOGIN PASSWORD '\.\.\.';\n {2}GRANT pg_monitor TO switchyard;/);
  assert.match(text, /ALTER ROLE switchyard PASSWORD '\.\.\.';/);
});

test('a missing entry of pg_hba.conf is given as a line, with the address that PostgreSQL saw', () => {
  const message = 'no pg_hba.conf entry for host "10.1.2.3", user "switchyard", database "postgres", no encryption';
  assert.match(
    advice(refusal('28000', message)),
    /\n {2}host {2}postgres {2}switchyard {2}10\.1\.2\.3\/32 {2}scram-sha-256$/,
  );
  const six = message.replace('10.1.2.3', 'fd00::7');
  assert.match(advice(refusal('28000', six)), / fd00::7\/128 /);
  assert.match(advice(refusal('28000', 'kein Eintrag')), / ADDRESS-OF-THE-PROXY /);
});

test('a role that does not exist or may not log in is told apart', () => {
  assert.match(advice(refusal('28000', 'role "switchyard" does not exist')), /CREATE ROLE switchyard/);
  assert.match(
    advice(refusal('28000', 'role "switchyard" is not permitted to log in')),
    /ALTER ROLE switchyard LOGIN;/,
  );
});

test('names are quoted where SQL needs it', () => {
  assert.equal(quoteName('switchyard'), 'switchyard');
  assert.equal(quoteName('Mon "x"'), '"Mon ""x"""');
  const odd = { user: 'Odd Name', database: 'My DB' };
  assert.match(
    advice(refusal('42501', 'permission denied for database'), odd),
    /CONNECT ON DATABASE "My DB" TO "Odd Name";/,
  );
  assert.match(mendUserLookup('Odd Name', 'My DB').join('\n'), /grant usage on schema switchyard to "Odd Name";/);
});

test('a password that is missing in the configuration is asked for there', () => {
  const error = new SwitchyardError('backend_login_failed', 'the node asks for a password', { hint: 'auth.users' });
  assert.equal(advice(error, { password: null }), 'Set cluster.monitor.password, or cluster.monitor.password_file.');
  assert.equal(advice(error), 'auth.users');
});

test('the lookup of users is given as SQL and as the line for the configuration', () => {
  const text = mendUserLookup('switchyard', 'postgres').join('\n');
  for (const part of [
    'create schema if not exists switchyard;',
    'security definer set search_path = pg_catalog',
    'revoke all on function switchyard.user_lookup(text) from public;',
    'grant execute on function switchyard.user_lookup(text) to switchyard;',
    'query: "SELECT rolname, rolpassword FROM switchyard.user_lookup($1)"',
  ]) {
    assert.ok(text.includes(part), part);
  }
});

test('no advice repeats a secret', () => {
  for (const sqlState of ['28P01', '28000', '3D000', '42501', '53300', '57P03', 'XX000']) {
    assert.doesNotMatch(advice(refusal(sqlState, 'something')), /known only/);
  }
});
