import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientParameters } from '../../../src/session/client-parameters.js';
import { backend } from '../../support/raw-messages.js';

/** The parameters in a row of ParameterStatus messages. */
function read(messages: Buffer): Record<string, string> {
  const found: Record<string, string> = {};
  for (let at = 0; at < messages.length; ) {
    assert.equal(messages.toString('latin1', at, at + 1), 'S');
    const end = at + 1 + messages.readUInt32BE(at + 1);
    const [name, value] = backend.parameterStatus(messages.subarray(at + 5, end));
    found[name] = value;
    at = end;
  }
  return found;
}

const reported = new Map([
  ['server_version', '15.8'],
  ['in_hot_standby', 'on'],
  ['TimeZone', 'UTC'],
]);

test('greets with everything the node reported, but with the role that the listener promises', () => {
  assert.deepEqual(read(new ClientParameters(false).greet(reported)), {
    server_version: '15.8',
    in_hot_standby: 'off',
    TimeZone: 'UTC',
  });
  assert.equal(read(new ClientParameters(true).greet(new Map([['in_hot_standby', 'off']])))['in_hot_standby'], 'on');
});

test('does not invent a parameter that the node does not have', () => {
  assert.deepEqual(read(new ClientParameters(true).greet(new Map([['server_version', '13.1']]))), {
    server_version: '13.1',
  });
});

test('tells a change once', () => {
  const parameters = new ClientParameters(false);
  parameters.greet(reported);
  assert.equal(parameters.get('TimeZone'), 'UTC');
  assert.equal(parameters.note('TimeZone', 'UTC'), false);
  assert.equal(parameters.note('TimeZone', 'Europe/Berlin'), true);
  assert.equal(parameters.note('TimeZone', 'Europe/Berlin'), false);
  assert.equal(parameters.get('TimeZone'), 'Europe/Berlin');
  assert.equal(parameters.note('application_name', 'x'), true);
});

test('never tells of the role of a node', () => {
  const parameters = new ClientParameters(false);
  parameters.greet(reported);
  assert.equal(parameters.note('in_hot_standby', 'on'), false);
  assert.equal(parameters.get('in_hot_standby'), 'off');
});

test('on another node the client hears only of what differs', () => {
  const parameters = new ClientParameters(false);
  parameters.greet(reported);
  const other = new Map([
    ['server_version', '15.9'],
    ['in_hot_standby', 'off'],
    ['TimeZone', 'UTC'],
    ['search_path', 'public'],
  ]);
  assert.deepEqual(read(parameters.update(other)), { server_version: '15.9', search_path: 'public' });
  assert.equal(parameters.update(other).length, 0);
});

test('what the backends reported is not changed', () => {
  const parameters = new ClientParameters(false);
  parameters.greet(reported);
  parameters.note('TimeZone', 'x');
  assert.equal(reported.get('TimeZone'), 'UTC');
  assert.equal(reported.get('in_hot_standby'), 'on');
});
