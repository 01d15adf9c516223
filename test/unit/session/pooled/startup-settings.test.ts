import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitParameters, keptOf } from '../../../../src/session/pooled/startup-settings.js';
import { OwnIdentities } from '../../../../src/session/state/identities.js';

function split(parameters: Readonly<Record<string, string>>): object {
  const { settings, rest } = splitParameters(new Map(Object.entries(parameters)));
  return { settings: Object.fromEntries(settings), rest: Object.fromEntries(rest) };
}

function sqlOf(settings: Readonly<Record<string, string>>): readonly string[] {
  return [...keptOf(new Map(Object.entries(settings)), new OwnIdentities()).values()].map(({ sql }) => sql);
}

test('what a session can set by itself needs no backend of its own', () => {
  assert.deepEqual(split({ DateStyle: 'ISO', TimeZone: 'Europe/Berlin', extra_float_digits: '2' }), {
    settings: { datestyle: 'ISO', timezone: 'Europe/Berlin', extra_float_digits: '2' },
    rest: {},
  });
});

test('what it cannot, or not in every encoding, does', () => {
  assert.deepEqual(split({ log_connections: 'on', application_name: 'größer', work_mem: '4\\MB', 'app.who': 'me' }), {
    settings: {},
    rest: { log_connections: 'on', application_name: 'größer', work_mem: '4\\MB', 'app.who': 'me' },
  });
});

test('options are taken apart, and count less than parameters', () => {
  assert.deepEqual(
    split({ TimeZone: 'UTC', options: '-c timezone=PRC --search-path=a,\\ b -c ignore_system_indexes=on -d 1' }),
    {
      settings: { timezone: 'UTC', search_path: 'a, b' },
      rest: { options: '-c ignore_system_indexes=on -d 1' },
    },
  );
});

test('a parameter that cannot be set later is not undone by an option of the same name', () => {
  assert.deepEqual(split({ application_name: 'é', options: '-c application_name=plain' }), {
    settings: {},
    rest: { application_name: 'é' },
  });
});

test('values are quoted, lists of names are read as the startup packet reads them', () => {
  assert.deepEqual(sqlOf({ application_name: `it's`, search_path: 'a, "B"' }), [
    `SET application_name TO 'it''s'`,
    `SELECT pg_catalog.set_config('search_path', 'a, "B"', false)`,
  ]);
});

test('UTF-8 is one encoding, however a driver writes it', () => {
  for (const name of ['UTF8', 'utf-8', 'UTF_8', `'utf-8'`]) {
    assert.deepEqual(sqlOf({ client_encoding: name }), [`SET client_encoding TO 'UTF8'`]);
  }
  assert.deepEqual(sqlOf({ client_encoding: 'LATIN1' }), [`SET client_encoding TO 'LATIN1'`]);
});
