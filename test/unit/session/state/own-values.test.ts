import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readInspection } from '../../../../src/session/state/session-inspection.js';
import { Talk } from './conversation-state.js';

test('a setting of the proxy is as it was set, or as the session began', () => {
  const talk = new Talk(10, new Map([['route', 'standby']]));
  assert.equal(talk.state.ownSetting('route'), 'standby');
  assert.equal(talk.state.ownSetting('fence'), null);
  assert.equal(talk.query("SET switchyard.route = 'primary'").state.ownSetting('route'), 'primary');
  assert.equal(talk.query('RESET switchyard.route').state.ownSetting('route'), 'standby');
  talk.query("SET switchyard.fence = '0/1'").query('RESET ALL');
  assert.equal(talk.state.ownSetting('fence'), null);
  assert.equal(talk.query("SELECT set_config('switchyard.fence', '0/2', false)").state.ownSetting('fence'), '0/2');
});

test('a setting of the proxy is rolled back with its transaction, and SET LOCAL ends with it', () => {
  const talk = new Talk();
  const value = (): string | null => talk.state.ownSetting('consistency');
  talk.query("SET switchyard.consistency = 'session'").query('BEGIN', 'CT');
  talk.query("SET LOCAL switchyard.consistency = 'eventual'", 'CT');
  assert.equal(value(), 'eventual');
  talk.query('SAVEPOINT s', 'CT').query("SET switchyard.consistency = 'database'", 'CT');
  assert.equal(value(), 'database');
  talk.query('ROLLBACK TO s', 'CT');
  assert.equal(value(), 'eventual');
  talk.query('SET LOCAL switchyard.consistency TO DEFAULT', 'CT');
  assert.equal(value(), null);
  talk.query('COMMIT');
  assert.equal(value(), 'session');
});

test('it is known what transactions begin as', () => {
  const talk = new Talk();
  assert.equal(talk.state.isSerializable, null);
  assert.equal(talk.state.isReadOnlyByDefault, null);
  talk.query("SET default_transaction_isolation = 'Serializable'").query('SET default_transaction_read_only = YES');
  assert.equal(talk.state.isSerializable, true);
  assert.equal(talk.state.isReadOnlyByDefault, true);
  talk.query('SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE');
  assert.equal(talk.state.isSerializable, false);
  assert.equal(talk.state.isReadOnlyByDefault, false);
  talk.query('RESET ALL');
  assert.equal(talk.state.isSerializable, null);
});

test('it is known also where only the node has told', () => {
  const talk = new Talk().query('CALL f()');
  const cells = [['setting', 'default_transaction_isolation', 'serializable']].map(
    ([kind = '', name = '', value = '']) => [
      kind,
      Buffer.from(name).toString('hex'),
      Buffer.from(value).toString('hex'),
    ],
  );
  talk.state.inspected(readInspection(cells), 'UTF8');
  assert.equal(talk.state.isSerializable, true);
});
