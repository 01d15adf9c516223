import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withLiveKeys } from '../../../src/config/live-listener.js';
import type { ListenerConfig } from '../../../src/config/schema.js';
import { MINIMAL, parse } from './config-text.js';

function listeners(entries: string): readonly ListenerConfig[] {
  return parse(MINIMAL.replace(/listeners:\n.*\n/, `listeners: [${entries}]\n`)).config.listeners;
}

const [old] = listeners('{ name: all, address: "127.0.0.1:1", route: split, backlog: 5 }');
assert.ok(old !== undefined);

test('what can change while a listener is open is taken over, and nothing else', () => {
  const after = listeners(
    '{ name: a, address: "127.0.0.1:3", route: primary }, ' +
      '{ name: all, address: "127.0.0.1:2", route: split, backlog: 6, fallback: error, prefer: sync, tags: { a: b }, consistency: database, pool_mode: transaction }',
  );
  assert.deepEqual(withLiveKeys(old, after), {
    ...old,
    fallback: 'error',
    prefer: 'sync',
    tags: new Map([['a', 'b']]),
    consistency: 'database',
    poolMode: 'transaction',
  });
});

test('a listener that went, or is to have another route, stays as it was', () => {
  assert.equal(withLiveKeys(old, listeners('{ name: other, address: "127.0.0.1:1", route: split }')), old);
  const standby = '{ name: all, address: "127.0.0.1:1", route: standby, fallback: error }';
  assert.equal(withLiveKeys(old, listeners(standby)), old);
});
