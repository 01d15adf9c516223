import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OBSTACLE_SQL, decodeObstacle } from '../../../src/replication/promotion-obstacle.js';

const node = (version = '150018', replay: string | null = '0/10', receive: string | null = '0/20') => [
  'node',
  null,
  version,
  replay,
  receive,
];
const startup = (type: string | null, event: string | null) => ['startup', '7', type, event, null];
const reader = ['reader', '42', '1700000000.5', null, null];

test('a startup process in a recovery conflict waits for readers', () => {
  for (const [type, event] of [
    ['IPC', 'RecoveryConflictSnapshot'],
    ['IPC', 'RecoveryConflictTablespace'],
    ['Lock', 'relation'],
    ['BufferPin', 'BufferPin'],
  ] as const) {
    assert.deepEqual(decodeObstacle([node(), startup(type, event), reader]), {
      wait: 'readers',
      replayLsn: 0x10n,
      receiveLsn: 0x20n,
      readers: [{ processId: 42, transaction: '1700000000.5' }],
    });
  }
});

test('one that waits for WAL, or for nothing, is not held up by readers', () => {
  assert.equal(decodeObstacle([node(), startup('Activity', 'RecoveryWalStream'), reader])?.wait, 'none');
  assert.equal(decodeObstacle([node(), startup(null, null)])?.wait, 'none');
  assert.equal(decodeObstacle([node(), startup('Timeout', 'RecoveryApplyDelay')])?.wait, 'none');
});

test('before PostgreSQL 13 a node does not say so, but shows who has a snapshot', () => {
  const old = decodeObstacle([node('120022'), startup(null, null), reader]);
  assert.equal(old?.wait, 'hidden');
  assert.deepEqual(old?.readers, [{ processId: 42, transaction: '1700000000.5' }]);
  assert.equal(decodeObstacle([node('120022'), startup('Lock', 'relation')])?.wait, 'readers');
});

test('a role that may not look sees neither what replay waits for nor for whom', () => {
  assert.deepEqual(decodeObstacle([node('150018', '0/10', null)]), {
    wait: 'hidden',
    replayLsn: 0x10n,
    receiveLsn: null,
    readers: null,
  });
});

test('an answer that makes no sense is none', () => {
  assert.equal(decodeObstacle([]), null);
  assert.equal(decodeObstacle([reader]), null);
});

test('every function is called by its qualified name', () => {
  const unqualified =
    /(?<![.\w])(?!GREATEST|CASE|WHEN|THEN|SELECT|VALUES|IN|AND|NOT|OPERATOR|AS|EXISTS|OR|WITH|JOIN\b)([a-z_]+)\(/g;
  assert.deepEqual(OBSTACLE_SQL.match(unqualified), null);
});
