import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { decodeMember, parseConnUrl } from '../../../src/dcs/patroni-member.js';

function member(fields: object) {
  return decodeMember('node1', JSON.stringify({ conn_url: 'postgres://10.0.0.1:5432/postgres', ...fields }));
}

test('reads what Patroni 3.0 writes', () => {
  const { claim, problems } = decodeMember(
    'node1',
    '{"conn_url":"postgres://127.0.0.1:5431/postgres","api_url":"http://127.0.0.1:8008/patroni","state":"running",' +
      '"role":"master","version":"3.0.2","xlog_location":67108960,"timeline":1}',
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(claim, {
    name: 'node1',
    host: '127.0.0.1',
    port: 5431,
    apiUrl: 'http://127.0.0.1:8008/patroni',
    role: 'master',
    state: 'running',
    replicationState: null,
    timeline: 1,
    xlogLocation: 67108960n,
    receiveLsn: null,
    replayLsn: null,
    noloadbalance: false,
    nofailover: false,
    tags: new Map(),
    pendingRestart: false,
    version: '3.0.2',
  });
  assert.ok(Object.isFrozen(claim));
});

test('reads what Patroni 4.1 writes of a standby', () => {
  const { claim } = member({
    role: 'replica',
    state: 'running',
    replication_state: 'streaming',
    xlog_location: 50331912,
    replay_lsn: 50331900,
    receive_lsn: 50331912,
    timeline: 2,
    pending_restart: true,
    tags: { noloadbalance: true, zone: 'eu-west-1a', failover_priority: 2, weight: 0.5 },
  });
  assert.equal(claim?.replicationState, 'streaming');
  assert.equal(claim?.replayLsn, 50331900n);
  assert.equal(claim?.receiveLsn, 50331912n);
  assert.equal(claim?.pendingRestart, true);
  assert.equal(claim?.noloadbalance, true);
  assert.equal(claim?.nofailover, false);
  assert.deepEqual(
    claim?.tags,
    new Map([
      ['noloadbalance', 'true'],
      ['zone', 'eu-west-1a'],
      ['failover_priority', '2'],
      ['weight', '0.5'],
    ]),
  );
});

test('WAL positions above 2^53 keep every bit', () => {
  const text =
    '{"conn_url":"postgres://h/","xlog_location":9223372036854775807,"replay_lsn":9007199254740993,"receive_lsn":18446744073709551615}';
  const { claim, problems } = decodeMember('node1', text);
  assert.deepEqual(problems, []);
  assert.equal(claim?.xlogLocation, 9223372036854775807n);
  assert.equal(claim?.replayLsn, 9007199254740993n);
  assert.equal(claim?.receiveLsn, 18446744073709551615n);
});

test('nofailover is decided as Patroni decides it', () => {
  assert.equal(member({ tags: { nofailover: true } }).claim?.nofailover, true);
  assert.equal(member({ tags: { failover_priority: 0 } }).claim?.nofailover, true);
  assert.equal(member({ tags: { failover_priority: '-1' } }).claim?.nofailover, true);
  assert.equal(member({ tags: { nofailover: false, failover_priority: 0 } }).claim?.nofailover, false);
  assert.equal(member({ tags: { failover_priority: 1 } }).claim?.nofailover, false);
});

test('a field that is nonsense costs that field only', () => {
  const { claim, problems } = member({
    role: 7,
    timeline: 'two',
    xlog_location: -1,
    replay_lsn: 'unknown',
    tags: [],
    state: 'running',
  });
  assert.equal(claim?.host, '10.0.0.1');
  assert.equal(claim?.state, 'running');
  assert.deepEqual([claim?.role, claim?.timeline, claim?.xlogLocation, claim?.replayLsn], [null, null, null, null]);
  assert.deepEqual(problems, [
    'tags: not a JSON object',
    'role: not a text',
    'timeline: not a timeline number',
    'xlog_location: not a WAL position',
    'replay_lsn: not a WAL position',
  ]);
});

test('a member without an address is a problem and no claim', () => {
  const cases: [string, string][] = [
    ['{', 'not JSON'],
    ['[]', 'not a JSON object'],
    ['{}', 'no conn_url'],
    ['{"conn_url":5}', 'conn_url: not a text'],
    ['{"conn_url":"mysql://h/"}', 'conn_url: not a postgres:// URL'],
    ['{"conn_kwargs":{"port":5432}}', 'conn_kwargs: no host'],
    ['{"conn_kwargs":{"host":"h","port":"x"}}', 'conn_kwargs: the port is none'],
  ];
  for (const [value, problem] of cases)
    assert.deepEqual(decodeMember('n', value), { claim: null, problems: [problem] });
});

test('takes conn_kwargs and the bare URL of old days', () => {
  const kwargs = decodeMember('n', '{"conn_kwargs":{"host":"fe80::1","port":"6000"}}').claim;
  assert.deepEqual([kwargs?.host, kwargs?.port], ['fe80::1', 6000]);
  const bare = decodeMember(
    'n',
    'postgres://u:p@h:6000/postgres?application_name=http%3A%2F%2Fh%3A8008%2Fpatroni',
  ).claim;
  assert.deepEqual([bare?.host, bare?.port, bare?.apiUrl], ['h', 6000, 'http://h:8008/patroni']);
});

test('a conn_url gives host and port in all its shapes', () => {
  const cases: [string, string, number][] = [
    ['postgres://10.0.0.1:5433/postgres', '10.0.0.1', 5433],
    ['postgresql://db.example:5433', 'db.example', 5433],
    ['postgres://db.example/postgres', 'db.example', 5432],
    ['postgres://db.example:/postgres', 'db.example', 5432],
    ['postgres://user@db.example:1/postgres', 'db.example', 1],
    ['postgres://user:pa%40ss:w@rd@db.example:65535/postgres?sslmode=require', 'db.example', 65535],
    ['postgres://[::1]:5433/postgres', '::1', 5433],
    ['postgres://user:secret@[2001:db8::1]/postgres', '2001:db8::1', 5432],
    ['POSTGRES://db_1.example:5433/', 'db_1.example', 5433],
    ['postgres://db%2Eexample:5433/', 'db.example', 5433],
  ];
  for (const [url, host, port] of cases) assert.deepEqual(parseConnUrl(url), { ok: true, value: { host, port } }, url);
});

test('a conn_url that does not name one host and port is refused, without repeating its password', () => {
  const cases: [string, string][] = [
    ['postgres://u:secret@a:1,b:2/postgres', 'conn_url: names several hosts'],
    ['postgres://u:secret@a,b/postgres', 'conn_url: names several hosts'],
    ['postgres:///postgres?host=secret', 'conn_url: no host'],
    ['postgres://:5432/secret', 'conn_url: no host'],
    ['postgres://u:secret@%2Fvar%2Frun/postgres', 'conn_url: names a Unix socket, not a host'],
    ['postgres://h:0/secret', 'conn_url: the port is none'],
    ['postgres://h:65536/secret', 'conn_url: the port is none'],
    ['postgres://h:12a/secret', 'conn_url: the address is not host:port'],
    ['postgres://2001:db8::1/secret', 'conn_url: the address is not host:port'],
    ['postgres://[nonsense]/secret', 'conn_url: the host is none'],
    ['postgres://h%0Aforged/secret', 'conn_url: the host is none'],
    ['postgres://%zz/secret', 'conn_url: the host is none'],
    ['host=secret port=5432', 'conn_url: not a postgres:// URL'],
  ];
  for (const [url, why] of cases) assert.deepEqual(parseConnUrl(url), { ok: false, why }, url);
});

test('never throws and never repeats a password, whatever stands in the key', () => {
  const anything = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc.string().map((rest) => `postgres://user:Geheimnis@${rest}`),
    fc
      .dictionary(fc.constantFrom('conn_url', 'role', 'tags', 'timeline', 'conn_kwargs', 'replay_lsn'), fc.jsonValue())
      .map((fields) => JSON.stringify(fields)),
  );
  fc.assert(
    fc.property(anything, (value) => {
      const { claim, problems } = decodeMember('n', value);
      assert.ok(!problems.join().includes('Geheimnis'));
      if (claim === null) assert.ok(problems.length > 0);
      else assert.ok(claim.host !== '' && claim.port > 0 && claim.port <= 65_535);
    }),
    { numRuns: 500 },
  );
});
