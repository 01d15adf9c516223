import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readEndpoint } from '../../../src/cli/import/addresses.js';
import { splitWords } from '../../../src/cli/import/haproxy-words.js';
import { roleOfCheck, roleOfName } from '../../../src/cli/import/patroni-check.js';
import { convertTexts } from './import-cases.js';

function words(line: string, env: Readonly<Record<string, string>> = {}): readonly string[] {
  return splitWords(line, env).words;
}

/** `key: value` lines of an import, without comments and indentation. */
function linesOf(cfg: string, env: Readonly<Record<string, string>> = {}): readonly string[] {
  const { yaml } = convertTexts({ cfg }, { env });
  return yaml
    .split('\n')
    .map((line) => line.replace(/ +# .*$/, '').trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

function told(cfg: string): readonly string[] {
  return convertTexts({ cfg }).findings.map(
    ({ verdict, place, subject }) => `${verdict} ${place?.line ?? '-'} ${subject}`,
  );
}

test('a line is split into words as HAProxy splits it', () => {
  assert.deepEqual(words('  bind\t*:80 # no'), ['bind', '*:80']);
  assert.deepEqual(words('a "b c" \'d "e" $F\' g\\ h \\#i "j\\"k"l ""'), [
    'a',
    'b c',
    'd "e" $F',
    'g h',
    '#i',
    'j"kl',
    '',
  ]);
  assert.deepEqual(words('\\x41\\n\\t\\q \\xZZ'), ['A\n\tq', 'xZZ']);
  assert.match(splitWords('a "b', {}).problem ?? '', /quote/);
  assert.match(splitWords("a 'b", {}).problem ?? '', /quote/);
});

test('variables count within double quotes alone', () => {
  const env = { PORT: '5000' };
  assert.deepEqual(words('$PORT \'$PORT\' "$PORT" "${PORT}x" "\\$PORT" "$" "${PORT-1}" "${NO-1 2}"', env), [
    ...['$PORT', '$PORT', '5000', '5000x', '$PORT', '$', '5000', '1 2'],
  ]);
  assert.deepEqual(splitWords('"$NO:${NEVER}"', env), {
    words: ['${NO}:${NEVER}'],
    missing: ['NO', 'NEVER'],
    problem: null,
  });
});

test('addresses are read as HAProxy reads them', () => {
  const read = (text: string): unknown => {
    const result = readEndpoint(text);
    return result.ok ? [result.value.host, result.value.port] : null;
  };
  assert.deepEqual(read('*:5000'), [null, '5000']);
  assert.deepEqual(read(':5000'), [null, '5000']);
  assert.deepEqual(read(':::5000'), ['::', '5000']);
  assert.deepEqual(read('ipv6@[::1]:5000'), ['::1', '5000']);
  assert.deepEqual(read('fd00::5:5432'), ['fd00::5', '5432']);
  assert.deepEqual(read('ipv4@pg.example.org:5432'), ['pg.example.org', '5432']);
  assert.deepEqual(read('10.0.0.1'), ['10.0.0.1', null]);
  for (const text of ['/run/x.sock', 'unix@x', 'fd@3', ':1-5', 'a:b', 'a b:1']) assert.equal(read(text), null, text);
});

test('the checks of Patroni tell the roles', () => {
  const short = (path: string): unknown => {
    const role = roleOfCheck(path);
    return role === null
      ? null
      : [role.route, role.prefer, role.includesPrimary, role.maxLag, ...role.tags.keys(), ...role.ignored];
  };
  for (const path of ['/', '/primary', '/master', '/leader', '/read-write', '/standby-leader']) {
    assert.deepEqual(short(path), ['primary', null, true, null], path);
  }
  assert.deepEqual(short('/replica'), ['standby', null, false, null]);
  assert.deepEqual(short('/read-only?lag=10MB'), ['standby', null, true, '10MB']);
  assert.deepEqual(short('/replica?lag=1048576&tag_dc=a&x=1'), ['standby', null, false, '1MB', 'dc', 'x']);
  assert.deepEqual(short('/async'), ['standby', 'async', false, null]);
  assert.deepEqual(short('/read-only-sync'), ['standby', 'sync', true, null]);
  for (const path of ['/health', '/patroni', '/liveness', '', 'primary']) assert.equal(short(path), null, path);
  assert.deepEqual(['pg_write', 'master', 'pg-ro', 'replicas', 'readwrite', 'x'].map(roleOfName), [
    ...['primary', 'primary', 'standby', 'standby', 'primary', null],
  ]);
});

test('defaults are handed down, until the next ones or by name', () => {
  const cfg = [
    'defaults a\n mode tcp\n option httpchk /replica\n timeout connect 1s\n default-server port 8008',
    'listen one\n bind :1\n server x 10.0.0.1:5432',
    'defaults b from a\n option httpchk /sync',
    'listen two\n bind :2\n server x 10.0.0.1:5432',
    'listen three from a\n bind :3\n server x 10.0.0.1:5432',
    'defaults\n mode http',
    'listen four\n bind :4\n server x 10.0.0.1:5432',
  ].join('\n');
  const lines = linesOf(cfg);
  assert.deepEqual(
    lines.filter((line) => /^(- name: (one|two|three|four)|prefer|connect_timeout)/.test(line)),
    ['- name: one', '- name: two', 'prefer: sync', '- name: three', 'connect_timeout: 1s'],
  );
});

test('a check may be said in several lines, and a later one takes its place', () => {
  const check = (lines: string): string | undefined =>
    linesOf(`listen x\n mode tcp\n bind :1\n${lines}\n server x 10.0.0.1:5432`).find((line) =>
      line.startsWith('route'),
    );
  assert.equal(check(' option httpchk\n http-check send meth GET uri /replica ver HTTP/1.1'), 'route: standby');
  assert.equal(check(' option httpchk OPTIONS /replica HTTP/1.0'), 'route: standby');
  assert.equal(check(' option httpchk /replica'), 'route: standby');
  assert.equal(check(' option httpchk'), 'route: primary');
  assert.equal(check(' option httpchk /replica\n option pgsql-check user x'), 'route: primary');
});

test('several lines that differ are said once, and the careful one is written', () => {
  const cfg = [
    'listen one\n mode tcp\n bind :1\n option httpchk /replica?lag=32MB\n timeout connect 2s\n server x 10.0.0.1:5432 maxconn 10',
    'listen two\n mode tcp\n bind :2\n option httpchk /replica?lag=16MB\n timeout connect 9s\n server y 10.0.0.2:5432 maxconn 30',
  ].join('\n');
  const lines = linesOf(cfg);
  for (const line of ['max_lag_bytes: 16MB', 'connect_timeout: 9s', 'max_backends_per_node: 30', 'size: 30']) {
    assert.ok(lines.includes(line), line);
  }
  assert.ok(told(cfg).includes('differs 10 option httpchk'));
  assert.ok(told(cfg).includes('differs 5 timeout connect'));
});

test('a page of statistics becomes the admin address, with a password only on this machine', () => {
  const page = (more: string): string => `listen s\n mode http\n bind 10.0.0.1:7000\n stats enable\n${more}`;
  assert.ok(linesOf(page('')).includes('address: "10.0.0.1:7000"'));
  assert.ok(linesOf(page(' stats auth a:b\n')).includes('address: "127.0.0.1:7000"'));
});

test('what is no PostgreSQL is passed over, and said to be', () => {
  const cfg = [
    'frontend web\n mode http\n bind :80\n default_backend app\nbackend app\n server a 10.0.0.1:80',
    'listen redis\n mode tcp\n bind :6379\n server a 10.0.0.1:6379',
    'resolvers dns\n nameserver a 10.0.0.1:53',
    'listen empty\n mode tcp\n option httpchk /primary\n server a 10.0.0.1:5432',
  ].join('\n');
  assert.ok(linesOf(cfg).includes('address: "127.0.0.1:6432"'));
  const lines = told(cfg);
  for (const line of [
    'none 1 frontend web',
    'none 7 listen redis',
    'needless 11 resolvers dns',
    'none 13 listen empty',
    'fill - listeners',
  ]) {
    assert.ok(lines.includes(line), line);
  }
});

test('a variable without a value is asked for in the new file', () => {
  const cfg = 'listen x\n mode tcp\n bind "${HOST}:5000"\n option httpchk /primary\n server a "${A}":5432 check';
  assert.ok(linesOf(cfg).includes('- name: x'));
  assert.ok(linesOf(cfg).includes('address: "${HOST}:5000"'));
  assert.ok(linesOf(cfg, { HOST: '10.0.0.1' }).includes('address: "10.0.0.1:5000"'));
});
