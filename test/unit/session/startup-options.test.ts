import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readStartupOptions } from '../../../src/session/startup-options.js';

const rows: readonly (readonly [options: string, rest: string | null, own: Readonly<Record<string, string>>])[] = [
  ['', null, {}],
  ['   ', '   ', {}],
  ['-c search_path=a', '-c search_path=a', {}],
  ['-c switchyard.route=standby', null, { route: 'standby' }],
  ['-cswitchyard.route=standby', null, { route: 'standby' }],
  ['--switchyard.route=standby', null, { route: 'standby' }],
  ['--switchyard.max-lag=5s', null, { max_lag: '5s' }],
  ['-c SwitchYard.Route=Standby', null, { route: 'Standby' }],
  ['  -c   switchyard.route=standby  ', null, { route: 'standby' }],
  ['-c a.b=c -c switchyard.route=standby -c d.e=f', '-c a.b=c -c d.e=f', { route: 'standby' }],
  ['-c switchyard.route=primary -c switchyard.route=standby', null, { route: 'standby' }],
  ['-c switchyard.route=a=b', null, { route: 'a=b' }],
  ['-c switchyard.route', null, { route: '' }],
  ['-c switchyard.route=', null, { route: '' }],
  ['-c\tswitchyard.route=x\n-c\v\f\ra=b', '-c a=b', { route: 'x' }],
  ['-c a=one\\ word\\\\ -c switchyard.route=x', '-c a=one\\ word\\\\', { route: 'x' }],
  ['-c switchyard.route=one\\ word', null, { route: 'one word' }],
  ['-c a=\\x -c switchyard.route=x', '-c a=x', { route: 'x' }],
  ['-c a=b\\ -c switchyard.route=x', '-c a=b\\ -c switchyard.route=x', {}],
  ['-c switchyard.route=x -c a=b\\', '-c a=b', { route: 'x' }],
  ['-c', '-c', {}],
  ['-c switchyard.route=x -c', '-c', { route: 'x' }],
  ['-c switchyard.route=x -e -S 1000', '-e -S 1000', { route: 'x' }],
  ['switchyard.route=x', 'switchyard.route=x', {}],
  ['-c other.switchyard.route=x', '-c other.switchyard.route=x', {}],
  ['-c a=1\u00a0-c -c switchyard.route=x', '-c a=1\u00a0-c', { route: 'x' }],
  ['-c -c switchyard.route=x', '-c -c switchyard.route=x', {}],
];

for (const [options, rest, own] of rows) {
  test(`options ${JSON.stringify(options)} leave ${JSON.stringify(rest)} for the node`, () => {
    const read = readStartupOptions(options);
    assert.equal(read.rest, rest);
    assert.deepEqual(Object.fromEntries(read.own), own);
  });
}

test('options without a setting of ours are passed on as they are, byte for byte', () => {
  const options = ' -c  a=b\\ c\t--d=e ';
  assert.equal(readStartupOptions(options).rest, options);
});
