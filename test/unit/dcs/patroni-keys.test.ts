import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { DEFAULT_SETTINGS, type KeyPart, decodeKey, patroniPrefix } from '../../../src/dcs/patroni-keys.js';

function decode(suffix: string, value: string) {
  return decodeKey({ suffix, value, createRevision: 7n, modRevision: 9n });
}

/** What the key says, when nothing about it is a problem. */
function part(suffix: string, value: string): KeyPart | undefined {
  const decoded = decode(suffix, value);
  assert.deepEqual(decoded?.problems, []);
  return decoded.part;
}

test("the prefix is Patroni's, with and without a Citus group", () => {
  assert.equal(patroniPrefix('service', 'pg', null), '/service/pg/');
  assert.equal(patroniPrefix('/service/', 'pg', null), '/service/pg/');
  assert.equal(patroniPrefix('/a/b', 'pg', 0), '/a/b/pg/0/');
  assert.equal(patroniPrefix('', 'pg', 12), '/pg/12/');
});

test('leader: the name, with the create-revision as its term', () => {
  assert.deepEqual(part('leader', 'node 1:x'), { kind: 'leader', leader: { name: 'node 1:x', term: 7n } });
  assert.deepEqual(decode('leader', ''), { part: { kind: 'leader', leader: null }, problems: ['leader: empty'] });
});

test('members: only one level below the folder', () => {
  assert.equal(part('members/a.b', '{"conn_url":"postgres://h/"}')?.kind, 'member');
  assert.equal(decode('members/', '{}'), null);
  assert.equal(decode('members/a/b', '{}'), null);
  assert.deepEqual(decode('members/x', 'nonsense'), {
    part: { kind: 'member', member: null },
    problems: ['members/x: not JSON'],
  });
});

test("config: Patroni's defaults where nothing is said", () => {
  assert.deepEqual(part('config', '{}'), { kind: 'settings', settings: DEFAULT_SETTINGS });
  assert.deepEqual(part('config', '{"pause":null,"ttl":null,"synchronous_mode":null}'), {
    kind: 'settings',
    settings: DEFAULT_SETTINGS,
  });
});

test('config: what is said, in all spellings', () => {
  const value =
    '{"ttl":20,"loop_wait":"5","retry_timeout":7.4,"pause":"on","synchronous_mode":"Quorum","failsafe_mode":true}';
  assert.deepEqual(part('config', value), {
    kind: 'settings',
    settings: {
      ttlS: 20,
      loopWaitS: 5,
      retryTimeoutS: 7,
      paused: true,
      synchronousMode: 'quorum',
      failsafeMode: true,
      standbyCluster: false,
    },
  });
});

test('config: a standby cluster says where from, and knows no synchronous mode', () => {
  const settings = (value: string) => {
    const decoded = part('config', value);
    assert.equal(decoded?.kind, 'settings');
    return decoded.settings;
  };
  assert.equal(settings('{"standby_cluster":{}}').standbyCluster, false);
  assert.equal(settings('{"standby_cluster":{"host":""}}').standbyCluster, false);
  assert.equal(settings('{"standby_cluster":{"port":5432}}').standbyCluster, true);
  assert.equal(settings('{"standby_cluster":{"restore_command":"cp"}}').standbyCluster, true);
  assert.equal(settings('{"synchronous_mode":true}').synchronousMode, true);
  assert.equal(settings('{"synchronous_mode":"off"}').synchronousMode, false);
  assert.equal(settings('{"synchronous_mode":true,"standby_cluster":{"host":"h"}}').synchronousMode, false);
});

test('config: nonsense is a problem, and the rest stands', () => {
  assert.deepEqual(decode('config', '{"ttl":"soon","loop_wait":0,"pause":"maybe","failsafe_mode":1}'), {
    part: { kind: 'settings', settings: { ...DEFAULT_SETTINGS, failsafeMode: true } },
    problems: [
      'config: ttl: not a number of seconds',
      'config: loop_wait: not a number of seconds',
      'config: pause: neither true nor false',
    ],
  });
  assert.deepEqual(decode('config', '[1]'), {
    part: { kind: 'settings', settings: DEFAULT_SETTINGS },
    problems: ['config: not a JSON object'],
  });
});

test('failover: a switchover that is wanted now', () => {
  const wanted = { leader: 'node1', candidate: 'node2', scheduledAtEpochMs: null, revision: 9n };
  assert.deepEqual(part('failover', '{"leader":"node1","member":"node2"}'), { kind: 'switchover', switchover: wanted });
  assert.deepEqual(part('failover', '{"leader":"node1","member":null,"scheduled_at":null}'), {
    kind: 'switchover',
    switchover: { ...wanted, candidate: null },
  });
  assert.deepEqual(part('failover', '{"leader":"","member":"node2","scheduled_at":""}'), {
    kind: 'switchover',
    switchover: { ...wanted, leader: null },
  });
});

test('failover: a switchover that is wanted later', () => {
  const decoded = part(
    'failover',
    '{"leader":"node1","member":"node2","scheduled_at":"2026-11-22T16:38:59.011385+02:00"}',
  );
  assert.equal(decoded?.kind, 'switchover');
  assert.equal(decoded.switchover?.scheduledAtEpochMs, Date.UTC(2026, 10, 22, 14, 38, 59, 11));
});

test('failover: a time that cannot be read is not "now"', () => {
  for (const time of ['"2026-11-22T16:38:59"', '"tomorrow"', '5', '{"a":1}']) {
    assert.deepEqual(decode('failover', `{"leader":"node1","scheduled_at":${time}}`), {
      part: { kind: 'switchover', switchover: null },
      problems: ['failover: scheduled_at: not a time with a zone'],
    });
  }
});

test('failover: the form of old versions', () => {
  const names = (value: string) => {
    const decoded = part('failover', value);
    assert.equal(decoded?.kind, 'switchover');
    return decoded.switchover === null ? null : [decoded.switchover.leader, decoded.switchover.candidate];
  };
  assert.deepEqual(names('node1:node2'), ['node1', 'node2']);
  assert.deepEqual(names(' node1 : node2 '), ['node1', 'node2']);
  assert.deepEqual(names('node1'), ['node1', null]);
  assert.deepEqual(names(':node2'), [null, 'node2']);
  assert.equal(names(':'), null);
  assert.equal(names(''), null);
});

test('failover: empty is none, and nonsense is none with a problem', () => {
  assert.deepEqual(part('failover', '{}'), { kind: 'switchover', switchover: null });
  assert.deepEqual(part('failover', '{"scheduled_at":"2026-11-22T16:38:59Z"}'), {
    kind: 'switchover',
    switchover: null,
  });
  for (const [value, problem] of [
    ['[]', 'failover: not a JSON object'],
    ['5', 'failover: not a JSON object'],
    ['{"leader":', 'failover: not JSON'],
    ['{"leader":5}', 'failover: leader: not a name'],
  ] as const) {
    assert.deepEqual(decode('failover', value), {
      part: { kind: 'switchover', switchover: null },
      problems: [problem],
    });
  }
});

test('sync: lists with blanks, quorum, and nothing', () => {
  assert.deepEqual(part('sync', '{"leader":"node1","sync_standby":" node2 ,node3,, ","quorum":1}'), {
    kind: 'sync',
    sync: { leader: 'node1', standbys: ['node2', 'node3'], quorum: 1 },
  });
  assert.deepEqual(part('sync', '{"leader":"node1","quorum":0,"sync_standby":null}'), {
    kind: 'sync',
    sync: { leader: 'node1', standbys: [], quorum: 0 },
  });
  const nothing = { kind: 'sync', sync: { leader: null, standbys: [], quorum: 0 } };
  assert.deepEqual(part('sync', '{"leader":null,"sync_standby":"node2","quorum":1}'), nothing);
  assert.deepEqual(decode('sync', 'x'), { part: nothing, problems: ['sync: not JSON'] });
  assert.deepEqual(decode('sync', '{"leader":"n","sync_standby":["a"],"quorum":"b"}'), {
    part: { kind: 'sync', sync: { leader: 'n', standbys: [], quorum: 0 } },
    problems: ['sync: sync_standby: not a name', 'sync: quorum: not a number'],
  });
});

test('history: lines of three, four and five fields; a bad line costs itself only', () => {
  const value =
    '[[1,9007199254740993,"no recovery target specified","2026-11-22T14:38:59.011385+00:00","node2"],[2,50,"x"],[3,60,"y","bad"],"z",[4],[5,-1,""]]';
  assert.deepEqual(decode('history', value), {
    part: {
      kind: 'history',
      history: [
        {
          timeline: 1,
          lsn: 9007199254740993n,
          reason: 'no recovery target specified',
          atEpochMs: Date.UTC(2026, 10, 22, 14, 38, 59, 11),
          newLeader: 'node2',
        },
        { timeline: 2, lsn: 50n, reason: 'x', atEpochMs: null, newLeader: null },
        { timeline: 3, lsn: 60n, reason: 'y', atEpochMs: null, newLeader: null },
      ],
    },
    problems: [4, 5, 6].map((line) => `history: line ${line}: not [timeline, position, reason, time, leader]`),
  });
  assert.deepEqual(decode('history', '{}')?.problems, ['history: not a JSON list']);
});

test('history: a thousand bad lines make a handful of problems', () => {
  const problems = decode('history', JSON.stringify(Array.from({ length: 1000 }, () => 0)))?.problems ?? [];
  assert.equal(problems.length, 6);
  assert.equal(problems.at(-1), 'history: and 995 more problems');
});

test('initialize: the system identifier as text, null while it is only a lock', () => {
  assert.deepEqual(part('initialize', '7711005897848756582'), {
    kind: 'initialize',
    systemIdentifier: '7711005897848756582',
  });
  assert.deepEqual(part('initialize', ''), { kind: 'initialize', systemIdentifier: null });
  assert.deepEqual(decode('initialize', 'x')?.problems, ['initialize: not a system identifier']);
});

test('status, and the key of old versions', () => {
  assert.deepEqual(part('status', '{"optime":9223372036854775807,"slots":{"a":1}}'), {
    kind: 'status',
    optime: 9223372036854775807n,
  });
  assert.deepEqual(part('status', '67108960'), { kind: 'status', optime: 67108960n });
  assert.deepEqual(part('optime/leader', '67108960'), { kind: 'old-optime', optime: 67108960n });
  assert.deepEqual(decode('status', '{}')?.problems, ['status: optime: not a WAL position']);
  assert.deepEqual(decode('optime/leader', 'x')?.problems, ['optime/leader: not a WAL position']);
});

test('unknown keys mean nothing, those of Citus groups included', () => {
  for (const suffix of ['', 'failsafe', 'leader2', 'leader/', '0/leader', 'optime', 'memberss/x']) {
    assert.equal(decode(suffix, '{'), null, suffix);
  }
});

test('no value of any key throws', () => {
  const suffix = fc.constantFrom(
    'leader',
    'members/n',
    'config',
    'failover',
    'sync',
    'history',
    'initialize',
    'status',
    'optime/leader',
  );
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc.json().map((text) => text.slice(0, -1)),
  );
  fc.assert(
    fc.property(suffix, value, (key, text) => decode(key, text) !== null),
    { numRuns: 1000 },
  );
});
