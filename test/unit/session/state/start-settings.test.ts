import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anywhere } from '../../../../src/session/state/kept.js';
import type { Kept } from '../../../../src/session/state/kept.js';
import { withLocal, withoutSetting, withSetting } from '../../../../src/session/state/remains.js';
import { StartSettings } from '../../../../src/session/state/start-settings.js';

function kept(sql: string): Kept {
  return { sql, under: anywhere, value: null };
}

const zone = kept(`SET timezone TO 'PRC'`);
const style = kept(`SET datestyle TO 'ISO'`);
const start = new StartSettings(
  new Map([
    ['timezone', zone],
    ['datestyle', style],
  ]),
);

test('a session begins with its settings, and has lost none', () => {
  assert.deepEqual([...start.remains.settings.keys()], ['timezone', 'datestyle']);
  assert.equal(start.areLost, false);
});

test('what was reset comes back in front of everything else, what was set to something else stays', () => {
  const other = kept(`SET datestyle TO 'SQL'`);
  const now = withSetting(withoutSetting(start.remains, 'timezone'), 'datestyle', other);
  start.lose();
  assert.equal(start.areLost, true);
  const { remains, lost } = start.restore(now);
  assert.deepEqual(lost, [zone]);
  assert.deepEqual(
    [...remains.settings],
    [
      ['timezone', zone],
      ['datestyle', other],
    ],
  );
  assert.equal(start.areLost, false);
});

test('what the transaction has set for itself is left alone', () => {
  const now = withLocal(withoutSetting(start.remains, 'timezone'), 'timezone', kept(`SET timezone TO 'UTC'`));
  assert.deepEqual(start.restore(now), { remains: now, lost: [] });
});

test('a session that has begun with nothing loses nothing', () => {
  const none = new StartSettings(new Map());
  none.lose();
  assert.equal(none.areLost, false);
});
