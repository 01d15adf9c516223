import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROTOCOL_3_0 } from '../../../src/protocol/codes.js';
import { cancelRequest, startupMessage } from '../../../src/protocol/frontend-messages.js';
import { readStartupPacket } from '../../../src/protocol/startup-packet.js';
import { frontend } from '../../support/raw-messages.js';

test('startupMessage has exactly the parameters it is given, in their order, and nothing of its own', () => {
  const parameters = { user: 'app', database: 'shop', application_name: '', client_encoding: 'UTF8' };
  assert.deepEqual(startupMessage(Object.entries(parameters)), frontend.startup(parameters));
});

test('what startupMessage writes is read back as it was', () => {
  const { packet, end } = readStartupPacket(
    startupMessage([
      ['user', 'jürgen'],
      ['options', '-c a=b'],
    ]),
  );
  assert.ok(packet.kind === 'startup');
  assert.equal(packet.protocol, PROTOCOL_3_0);
  assert.equal(packet.user, 'jürgen');
  assert.deepEqual([...packet.parameters], [['options', '-c a=b']]);
  assert.equal(
    end,
    startupMessage([
      ['user', 'jürgen'],
      ['options', '-c a=b'],
    ]).length,
  );
});

test('cancelRequest carries keys of both lengths', () => {
  for (const length of [4, 32]) {
    const key = Buffer.alloc(length, 3);
    assert.deepEqual(cancelRequest(4711, key), frontend.cancelRequest(4711, key));
    assert.deepEqual(readStartupPacket(cancelRequest(-1, key)).packet, { kind: 'cancel', processId: -1, key });
  }
});
