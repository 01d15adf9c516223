import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeError } from '../../chaos/checks/honest.js';
import type { Circumstances } from '../../chaos/checks/honest.js';
import type { Nature } from '../../chaos/faults/fault.js';
import type { SeenError } from '../../chaos/load/attempt.js';

const around = (nature: Nature, more: Partial<Circumstances> = {}): Circumstances => ({
  nature,
  isSynchronous: false,
  victim: null,
  wasLongerThanHold: false,
  ...more,
});

function seen(during: SeenError['during'], sqlState: string, more: Partial<SeenError> = {}): SeenError {
  const severity = sqlState === '' ? '' : 'ERROR';
  const base = { worker: 'pg-simple-1', message: '', detail: '', connectionLost: false, startedAtMs: 0, endedAtMs: 1 };
  return { ...base, during, sqlState, severity, ...more };
}

test('a planned switchover gives no autocommit write an error, whatever it says', () => {
  for (const sqlState of ['', '57P01', '08007', '40001', '08006', '57P03', '25006']) {
    assert.notEqual(judgeError(seen('autocommit', sqlState), around('planned')), null, sqlState);
  }
});

test('with synchronous replication a planned stop may leave a write in doubt that waited for its standby', () => {
  const circumstances = around('planned', { isSynchronous: true });
  assert.equal(judgeError(seen('autocommit', '08007'), circumstances), null);
  for (const sqlState of ['', '57P01', '40001']) {
    assert.notEqual(judgeError(seen('autocommit', sqlState), circumstances), null, sqlState);
  }
});

test('a crash may leave an autocommit write in doubt, on a connection that is kept, and nothing else', () => {
  assert.equal(judgeError(seen('autocommit', '08007'), around('unplanned')), null);
  const lost = seen('autocommit', '08007', { connectionLost: true });
  assert.equal(judgeError(lost, around('unplanned')), 'the connection was dropped');
  assert.notEqual(judgeError(seen('autocommit', '40001'), around('unplanned')), null);
});

test('an open transaction gets 40001 and keeps its connection; only its COMMIT can be in doubt', () => {
  for (const nature of ['planned', 'unplanned'] as const) {
    assert.equal(judgeError(seen('statement', '40001'), around(nature)), null);
    assert.equal(judgeError(seen('commit', '08007'), around(nature)), null);
    assert.notEqual(judgeError(seen('statement', '08007'), around(nature)), null);
    assert.notEqual(judgeError(seen('statement', '40001', { connectionLost: true }), around(nature)), null);
    assert.notEqual(judgeError(seen('rollback', '40001'), around(nature)), null, 'once');
  }
});

test('whoever waits for open transactions first must not cost them anything', () => {
  for (const during of ['begin', 'statement', 'commit', 'autocommit'] as const) {
    for (const sqlState of ['40001', '08007', '57P01', '']) {
      assert.notEqual(judgeError(seen(during, sqlState), around('drained')), null, `${during} ${sqlState}`);
    }
  }
});

test('a session that cannot move is ended with 57P01 and a DETAIL', () => {
  const ended = { severity: 'FATAL', connectionLost: true };
  assert.equal(judgeError(seen('pinned', '57P01', { ...ended, detail: 'why' }), around('planned')), null);
  assert.equal(judgeError(seen('pinned', '57P01', ended), around('planned')), 'DETAIL does not say why');
  assert.notEqual(judgeError(seen('session', '57P01', { ...ended, detail: 'why' }), around('planned')), null);
});

test('what is harmless gives nobody an error', () => {
  for (const during of ['autocommit', 'statement', 'commit', 'read', 'pinned', 'connect', 'copy_in'] as const) {
    for (const sqlState of ['', '40001', '08007', '57P01', '57P03']) {
      assert.notEqual(judgeError(seen(during, sqlState), around('harmless')), null, `${during} ${sqlState}`);
    }
  }
});

test('25006 is never honest', () => {
  for (const nature of ['harmless', 'planned', 'unplanned', 'restart', 'administrator'] as const) {
    assert.equal(judgeError(seen('autocommit', '25006'), around(nature)), 'a write went to a node in recovery');
  }
});

test('whom an administrator ended is told so and loses the connection; nobody else notices', () => {
  const circumstances = around('administrator', { victim: 'pg-simple-1' });
  const ended = { severity: 'FATAL', connectionLost: true };
  assert.equal(judgeError(seen('autocommit', '57P01', ended), circumstances), null);
  assert.equal(judgeError(seen('autocommit', '', ended), circumstances), null);
  assert.notEqual(judgeError(seen('autocommit', '57P01'), circumstances), null, 'it was kept');
  assert.notEqual(judgeError(seen('autocommit', '57P01', { ...ended, worker: 'raw-2' }), circumstances), null);
});

test('57P03 is honest for whoever waited as long as units are held', () => {
  assert.equal(judgeError(seen('autocommit', '57P03'), around('unplanned', { wasLongerThanHold: true })), null);
  assert.notEqual(judgeError(seen('autocommit', '57P03'), around('unplanned')), null);
});

test('a restart of the proxy may drop connections, and may not tell lies', () => {
  assert.equal(judgeError(seen('idle', '', { connectionLost: true }), around('restart')), null);
  assert.equal(judgeError(seen('connect', ''), around('restart')), null);
  assert.notEqual(judgeError(seen('autocommit', 'XX000', { connectionLost: true }), around('restart')), null);
});
