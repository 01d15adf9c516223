import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SwitchyardError } from '../../../src/errors.js';
import { readOwnOptions } from '../../../src/session/own-options.js';

type Route = 'primary' | 'standby' | 'split';

function read(route: Route, own: Readonly<Record<string, string>>): Readonly<Record<string, string>> | SwitchyardError {
  const settings = readOwnOptions(new Map(Object.entries(own)), { listener: 'door', intent: { route } });
  return settings instanceof SwitchyardError ? settings : Object.fromEntries(settings);
}

/** The error that such options are answered with. */
function refusal(route: Route, own: Readonly<Record<string, string>>): SwitchyardError {
  const error = read(route, own);
  assert.ok(error instanceof SwitchyardError, JSON.stringify(own));
  assert.equal(error.code, 'bad_route_option');
  assert.equal(error.sqlState, '22023');
  return error;
}

test('a client can narrow its route, and never widen it', () => {
  for (const route of ['primary', 'standby', 'split'] as const) {
    assert.deepEqual(read('split', { route }), { route });
    assert.deepEqual(read(route, { route }), { route });
  }
  for (const [offered, wanted] of [
    ['primary', 'standby'],
    ['primary', 'split'],
    ['standby', 'primary'],
    ['standby', 'split'],
  ] as const) {
    const error = refusal(offered, { route: wanted });
    assert.equal(error.message, `route "${wanted}" is not available here`);
    assert.match(error.detail ?? '', new RegExp(`"door" has the route ${offered}; a client can narrow a route`));
  }
  assert.equal(refusal('split', { route: '' }).hint, 'Available values: split, primary, standby.');
  refusal('split', { route: 'master' });
});

test('the settings of split sessions are handed on in one way to write them', () => {
  assert.deepEqual(read('split', {}), {});
  const own = { route: 'STANDBY', consistency: 'Eventual', explain: 'TRUE', fence: '16/b374d848' };
  assert.deepEqual(read('split', own), {
    route: 'standby',
    consistency: 'eventual',
    explain: 'on',
    fence: '16/b374d848',
  });
});

test('a flag is read as PostgreSQL reads one', () => {
  const explain = (value: string): unknown => {
    const settings = read('split', { explain: value });
    return settings instanceof SwitchyardError ? 'refused' : settings['explain'];
  };
  for (const value of ['on', 'ON', '1', 't', 'tr', 'true', 'y', 'yes']) assert.equal(explain(value), 'on', value);
  for (const value of ['off', 'of', 'Off', '0', 'f', 'fals', 'false', 'n', 'no'])
    assert.equal(explain(value), 'off', value);
  for (const value of ['', 'o', 'onn', 'truee', '2', 'maybe']) assert.equal(explain(value), 'refused', value);
});

test('values that mean nothing are refused with those that do', () => {
  const consistency = refusal('split', { consistency: 'strong' });
  assert.equal(consistency.message, 'invalid value for option "switchyard.consistency": "strong"');
  assert.equal(consistency.hint, 'Available values: session, eventual, database.');
  for (const fence of ['0', '16/', 'G/0', '16/B374D8481']) {
    assert.match(refusal('split', { fence }).hint ?? '', /position in the WAL/, fence);
  }
});

test('options that are none of ours are refused with those that are', () => {
  for (const name of ['rout', 'max_lag', 'toString', '__proto__', '']) {
    const error = refusal('split', Object.fromEntries([[name, 'x']]));
    assert.equal(error.message, `unrecognized option "switchyard.${name}"`);
    assert.equal(error.hint, 'Known: switchyard.route, switchyard.consistency, switchyard.explain, switchyard.fence.');
  }
});

test('settings of split sessions are refused where they would do nothing', () => {
  for (const route of ['primary', 'standby'] as const) {
    for (const own of [{ consistency: 'session' }, { explain: 'on' }, { fence: '0/1' }]) {
      const error = refusal(route, own);
      assert.match(error.message, /^option "switchyard\.\w+" is not available here$/);
      assert.match(
        error.detail ?? '',
        new RegExp(`has the route ${route}; the option is for listeners with route split`),
      );
    }
  }
});
