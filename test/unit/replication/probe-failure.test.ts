import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SwitchyardError } from '../../../src/errors.js';
import { ProbeProtocolError, ProbeTimeout, classifyFailure } from '../../../src/replication/probe-failure.js';
import { CodedError } from '../../support/fake-postgres.js';

const kindOf = (error: unknown): string => classifyFailure(error).kind;

test("the system's errors are told apart", () => {
  assert.equal(kindOf(new CodedError('ECONNREFUSED', 'connect ECONNREFUSED')), 'refused');
  assert.equal(kindOf(new CodedError('ETIMEDOUT', 'connect ETIMEDOUT')), 'timeout');
  assert.equal(kindOf(new CodedError('ECONNRESET', 'read ECONNRESET')), 'lost');
  assert.equal(kindOf(new CodedError('EPIPE', 'write EPIPE')), 'lost');
  assert.equal(kindOf(new CodedError('EHOSTUNREACH', 'connect EHOSTUNREACH')), 'other');
  assert.equal(kindOf(new CodedError('ENOTFOUND', 'getaddrinfo ENOTFOUND db1')), 'other');
});

test('every reason of 57P03 means that nobody can connect now, in whatever language', () => {
  const kinds = new Map([
    ['the database system is starting up', 'starting_up'],
    ['the database system is in recovery mode', 'starting_up'],
    ['the database system is not yet accepting connections', 'starting_up'],
    ['the database system is shutting down', 'shutting_down'],
    ['the database system is not accepting connections', 'not_accepting'],
    ['das Datenbanksystem fährt herunter', 'not_accepting'],
  ]);
  for (const [message, kind] of kinds) {
    assert.equal(kindOf(new CodedError('57P03', message)), kind, message);
  }
});

test("PostgreSQL's refusals are told apart", () => {
  const kinds = new Map([
    ['57P01', 'lost'],
    ['57P02', 'lost'],
    ['28P01', 'login_failed'],
    ['28000', 'login_failed'],
    ['3D000', 'login_failed'],
    ['42501', 'login_failed'],
    ['53300', 'no_slot'],
    ['08P01', 'protocol'],
    ['XX000', 'other'],
  ]);
  for (const [code, kind] of kinds) {
    assert.equal(kindOf(new CodedError(code, 'a message')), kind, code);
  }
});

test('the cause says more than the error around it', () => {
  const cause = new CodedError('ECONNREFUSED', 'connect ECONNREFUSED ::1:5432');
  const error = new SwitchyardError('backend_connect_failed', 'could not connect to db1', { cause });
  assert.deepEqual(classifyFailure(error), {
    kind: 'refused',
    message: 'could not connect to db1: connect ECONNREFUSED ::1:5432',
  });
  const lost = new SwitchyardError('backend_lost', 'gone', { cause: null });
  assert.equal(kindOf(lost), 'lost');
  const silent = new SwitchyardError('backend_connect_failed', 'could not connect to db1: no answer within 2000 ms');
  assert.equal(kindOf(silent), 'timeout');
});

test('errors of the probe itself are told apart', () => {
  assert.equal(kindOf(new ProbeTimeout('the sample', 2000)), 'timeout');
  assert.equal(kindOf(new ProbeProtocolError('no rows')), 'protocol');
  assert.equal(kindOf('a string'), 'other');
  assert.equal(kindOf(undefined), 'other');
});

test('a chain of causes without an end is not followed without an end', () => {
  const error = new Error('round');
  error.cause = error;
  assert.equal(kindOf(error), 'other');
});

test('messages are one line of bounded length', () => {
  const { message } = classifyFailure(new CodedError('XX000', `a\nb\t${'c'.repeat(5000)}`));
  assert.ok(message.startsWith('a b c'));
  assert.ok(message.length <= 300);
});
