import assert from 'node:assert/strict';
import { test } from 'node:test';
import { intentOf, sessionLimits } from '../../../src/session/from-config.js';
import { MINIMAL, parse } from '../config/config-text.js';

const SPLIT = MINIMAL.replace('route: primary }', 'route: split }');

test('a listener that does not say has the consistency of all', () => {
  const intents = (text: string) => {
    const { listeners, routing, pool } = parse(text).config;
    return listeners.map((listener) => intentOf(listener, routing, pool).consistency);
  };
  assert.deepEqual(intents(SPLIT), ['session']);
  assert.deepEqual(intents(`${SPLIT}routing: { consistency: database }\n`), ['database']);
  const own = SPLIT.replace('route: split', 'route: split, consistency: eventual');
  assert.deepEqual(intents(`${own}routing: { consistency: database }\n`), ['eventual']);
});

test('sessions are given what the configuration says of routing', () => {
  const { config } = parse(
    `${SPLIT}routing: { zone: east, slow_start: 3s, stickiness: none, standby_idle: 9s, rebalance: off }\n`,
  );
  const [listener] = config.listeners;
  assert.ok(listener !== undefined);
  assert.deepEqual(intentOf(listener, config.routing, config.pool), {
    route: 'split',
    fallback: 'primary',
    prefer: 'any',
    tags: new Map(),
    consistency: 'session',
    zone: 'east',
    slowStartMs: 3000,
    stickiness: 'none',
    poolMode: 'session',
  });
  for (const route of ['primary', 'standby'] as const) {
    assert.equal(
      intentOf({ ...listener, route }, config.routing, config.pool).stickiness,
      'session',
      `${route}: it lives where it is`,
    );
  }
  const { standbyIdleMs, rebalance } = sessionLimits(config);
  assert.deepEqual([standbyIdleMs, rebalance], [9000, 'off']);
});

test('nothing is kept to be sent again when replay is off', () => {
  assert.equal(sessionLimits(parse(SPLIT).config).replayBytes, 65_536);
  assert.equal(sessionLimits(parse(`${SPLIT}promotion: { replay: off }\n`).config).replayBytes, 0);
});
