import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  IDENTITY_SQL,
  IDENTITY_WITHOUT_CONTROL_SQL,
  SAMPLE_AND_COUNT_SQL,
  SAMPLE_SQL,
  decodeIdentity,
  decodeSample,
} from '../../../src/replication/probe-sql.js';

test('a primary is read with its position and the timeline of its WAL file', () => {
  const file = '0000000A0000000000000003';
  const row = ['f', '0/3041568', file, null, null, null, null, null, null, null, '0/3041600'];
  assert.deepEqual(decodeSample([row]), {
    inRecovery: false,
    flushedLsn: 0x3041568n,
    isFlushCut: false,
    insertedLsn: 0x3041600n,
    replayLsn: null,
    receiveLsn: null,
    timeline: 10,
    streaming: false,
    replayPaused: false,
    freeConnections: null,
  });
});

test('a streaming standby is read with the timeline of its WAL receiver', () => {
  const row = ['t', null, null, '0/10', '0/20', '6969', 'streaming', '3', null, 'f', null];
  assert.deepEqual(decodeSample([row]), {
    inRecovery: true,
    flushedLsn: null,
    isFlushCut: false,
    insertedLsn: null,
    replayLsn: 0x10n,
    receiveLsn: 0x20n,
    timeline: 3,
    streaming: true,
    replayPaused: false,
    freeConnections: null,
  });
});

test('a standby in archive recovery does not stream, and is read with the timeline of its control file', () => {
  const sample = decodeSample([['t', null, null, '0/10', null, null, null, null, '2', 't', null]]);
  assert.equal(sample.streaming, false);
  assert.equal(sample.receiveLsn, null);
  assert.equal(sample.timeline, 2);
  assert.equal(sample.replayPaused, true);
});

test('a WAL receiver that waits does not stream', () => {
  const row = ['t', null, null, '0/10', '0/20', '6969', 'waiting', '3', null, 'f', null];
  assert.equal(decodeSample([row]).streaming, false);
});

test('whether it streams is unknown where the role may not see the WAL receiver', () => {
  const row = ['t', null, null, '0/10', '0/20', '6969', null, null, '1', 'f', null];
  assert.equal(decodeSample([row]).streaming, null);
});

test('a node that is promoted while it answers counts as in recovery', () => {
  const row = ['t', '0/30', '000000020000000000000003', null, null, null, null, null, null, null, '0/30'];
  assert.equal(decodeSample([row]).inRecovery, true);
  assert.equal(decodeSample([row]).flushedLsn, null);
});

test('what is flushed may end in the middle of a record where it ends with a page and more is inserted', () => {
  const sample = (flushed: string, inserted: string) =>
    decodeSample([['f', flushed, '000000010000000000000003', null, null, null, null, null, null, null, inserted]]);
  assert.equal(sample('0/3002000', '0/3002030').isFlushCut, true);
  assert.equal(sample('0/3002000', '0/3002018').isFlushCut, false, 'nothing but the header of the next page');
  assert.equal(sample('0/4000000', '0/4000028').isFlushCut, false, 'nothing but the header of the next segment');
  assert.equal(sample('0/3002000', '0/3002028').isFlushCut, true, 'the rest of a record, no header');
  assert.equal(sample('0/3001FF8', '0/3002030').isFlushCut, false, 'what is flushed elsewhere ends with a record');
});

test('the inserted position is the end of the last record, not the place for the next one', () => {
  const row = ['f', '0/4000000', '000000010000000000000003', null, null, null, null, null, null, null, '0/4000028'];
  assert.equal(decodeSample([row]).insertedLsn, 0x4000000n);
});

test('a primary is read with the connections that it has left, which may be fewer than none', () => {
  const row = ['f', '0/3041568', '0000000A0000000000000003', null, null, null, null, null, null, null, '0/3041568'];
  assert.equal(decodeSample([[...row, '97']], true).freeConnections, 97);
  assert.equal(decodeSample([[...row, '-2']], true).freeConnections, -2);
  assert.equal(decodeSample([[...row, null]], true).freeConnections, null);
  const standby = ['t', null, null, '0/10', '0/20', '6969', 'streaming', '3', null, 'f', null];
  assert.equal(decodeSample([[...standby, null]], true).freeConnections, null);
  assert.throws(() => decodeSample([row], true), { name: 'ProbeProtocolError' });
});

test('answers that make no sense are refused', () => {
  const wrong: (string | null)[][][] = [
    [],
    [[]],
    [['f']],
    [['x', '0/1', null, null, null, null, null, null, null, null, null]],
    [[null, '0/1', null, null, null, null, null, null, null, null, null]],
    [['f', 'zzz', null, null, null, null, null, null, null, null, null]],
    [['f', '0/1', null, null, null, null, null, null, null, null, 'zzz']],
    [['t', null, null, '17', null, null, null, null, null, null, null]],
  ];
  for (const rows of wrong) {
    assert.throws(() => decodeSample(rows), { name: 'ProbeProtocolError' }, JSON.stringify(rows));
  }
  const right = ['f', '0/1', '000000010000000000000003', null, null, null, null, null, null, null, '0/1'];
  assert.throws(() => decodeSample([right, right]), { name: 'ProbeProtocolError' });
  assert.throws(() => decodeIdentity([['no number', SYSTEM_TEXT, '1', 't', 'm']], 0), { name: 'ProbeProtocolError' });
});

const SYSTEM_TEXT = '7711013138684779292';

test('the identity is read, and the start of the postmaster put on our own clock', () => {
  assert.deepEqual(decodeIdentity([['150020', SYSTEM_TEXT, '676.5', 't', '"Mon"']], 1_000_000), {
    serverVersion: 150020,
    systemIdentifier: SYSTEM_TEXT,
    startedAtMs: 1_000_000 - 676_500,
    seesReceiver: true,
    role: '"Mon"',
  });
  const blind = decodeIdentity([['100023', null, null, 'f', null]], 5);
  assert.equal(blind.systemIdentifier, null);
  assert.equal(blind.startedAtMs, null);
  assert.equal(blind.seesReceiver, false);
  const future = decodeIdentity([['100023', null, '-3', 'f', 'm']], 5);
  assert.equal(future.startedAtMs, 5, 'a clock that was set back gives no start in the future');
});

test('every function of the probes is called by its qualified name', () => {
  const unqualified =
    /(?<![.\w])(?!GREATEST|CASE|WHEN|THEN|SELECT|VALUES|IN|AND|NOT|OPERATOR|OR|AS|v|COALESCE|JOIN\b)([a-z_]+)\(/g;
  for (const sql of [SAMPLE_SQL, SAMPLE_AND_COUNT_SQL, IDENTITY_SQL, IDENTITY_WITHOUT_CONTROL_SQL]) {
    assert.deepEqual(sql.match(unqualified), null);
  }
  assert.ok(!IDENTITY_WITHOUT_CONTROL_SQL.includes('pg_control_system'));
});
