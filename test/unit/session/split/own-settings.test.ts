import assert from 'node:assert/strict';
import { test } from 'node:test';
import { oneOf, ownSettingKind, ownSettingKinds } from '../../../../src/session/own-setting-kinds.js';
import { OwnSettings } from '../../../../src/session/split/own-settings.js';
import { analyze } from './unit-reader.js';

function settings(values: Readonly<Record<string, string>> = {}): OwnSettings {
  return new OwnSettings({ ownSetting: (name) => values[name] ?? null });
}

/** `code: message`, or null. */
function mistake(...texts: readonly string[]): string | null {
  const error = settings().mistakeIn(texts.map(analyze));
  return error === null ? null : `${error.code}: ${error.message}`;
}

test('what is not set says nothing', () => {
  const { route, consistency, explains, fence } = settings();
  assert.deepEqual([route, consistency, explains, fence], [null, null, false, null]);
});

test('values are read as PostgreSQL reads those of its own settings', () => {
  assert.equal(settings({ route: 'PRIMARY' }).route, 'primary');
  assert.equal(settings({ route: 'Standby' }).route, 'standby');
  assert.equal(settings({ consistency: 'Database' }).consistency, 'database');
  for (const value of ['on', 'ON', '1', 't', 'tr', 'TRUE', 'y', 'yes']) {
    assert.equal(settings({ explain: value }).explains, true, value);
  }
  for (const value of ['off', 'of', '0', 'f', 'false', 'n', 'no', 'o', '', '2', 'truer']) {
    assert.equal(settings({ explain: value }).explains, false, value);
  }
  assert.equal(settings({ fence: '16/B374D848' }).fence, '16/B374D848');
  assert.equal(settings({ fence: '' }).fence, null);
});

test('a route of split narrows nothing, and what is no value at all says nothing', () => {
  assert.equal(settings({ route: 'split' }).route, null);
  assert.equal(settings({ route: 'everywhere' }).route, null);
  assert.equal(settings({ consistency: 'strict' }).consistency, null);
  assert.equal(settings({ fence: 'here' }).fence, null);
});

test('a value that a setting does not take is a mistake, wherever it stands', () => {
  const bad = 'bad_setting: invalid value for parameter "switchyard.route": "nowhere"';
  assert.equal(mistake("set switchyard.route = 'nowhere'"), bad);
  assert.equal(mistake("set local switchyard.route to 'nowhere'"), bad);
  assert.equal(mistake("select set_config('switchyard.route', 'nowhere', false)"), bad);
  assert.equal(mistake('select 1', "select 2; set switchyard.route = 'nowhere'"), bad);
  assert.match(mistake("set switchyard.explain = 'perhaps'") ?? '', /^bad_setting/);
  assert.match(mistake("set switchyard.fence = 'here'") ?? '', /^bad_setting/);
});

test('a setting that there is not is a mistake, also by a name that every object has', () => {
  assert.match(mistake("set switchyard.rout = 'primary'") ?? '', /^unknown_setting: .*"switchyard\.rout"$/);
  assert.match(mistake('set switchyard."constructor" = 1') ?? '', /^unknown_setting/);
  assert.match(settings().mistakeIn([analyze('set switchyard.a = 1')])?.hint ?? '', /switchyard\.consistency/);
  assert.equal(ownSettingKind('toString'), null);
});

test('values that are taken, values that are not known, and settings of others are no mistake', () => {
  for (const sql of [
    "set switchyard.route = 'standby'",
    'set switchyard.explain = on',
    "set switchyard.fence = ''",
    'set switchyard.route to default',
    'reset switchyard.anything',
    "select set_config('switchyard.route', a, false) from t",
    'set other.route = 1',
    'set geqo = off',
  ]) {
    assert.equal(mistake(sql), null, sql);
  }
});

test('a setting of ours that is shown is told without its prefix', () => {
  const shown = (...texts: readonly string[]): string | null => settings().shownBy(texts.map(analyze));
  assert.equal(shown('show switchyard.fence'), 'fence');
  assert.equal(shown('select 1', 'SHOW Switchyard.Route'), 'route');
  assert.equal(shown('show geqo'), null);
  assert.equal(shown('show all'), null);
  assert.equal(shown(), null);
});

test('each setting says what it takes, and takes that', () => {
  for (const [name, kind] of Object.entries(ownSettingKinds)) {
    assert.notEqual(kind.takes, '', name);
    if (name === 'fence') continue;
    for (const value of kind.takes.split(', ')) assert.equal(kind.read(value), value);
  }
  assert.equal(oneOf('ONE', ['one', 'two']), 'one');
  assert.equal(oneOf('three', ['one', 'two']), null);
});
