import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  EtcdAuthenticationFailedError,
  EtcdInvalidAuthTokenError,
  EtcdPermissionDeniedError,
  GRPCDeadlineExceededError,
  GRPCUnauthenticatedError,
  GRPCUnavailableError,
} from 'etcd3';
import { describeEtcdError, isAuthDisabled, isTokenError } from '../../../src/dcs/etcd3-errors.js';

test('says the same for the same cause, without durations and addresses', () => {
  const cases: [unknown, string][] = [
    [
      new GRPCDeadlineExceededError(
        '4 DEADLINE_EXCEEDED: Deadline exceeded after 2.001s,LB pick: 0.001s,remote_addr=10.0.0.1:2379',
      ),
      'no answer in time',
    ],
    [
      new GRPCUnavailableError(
        '14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 10.0.0.1:2379',
      ),
      'connection refused',
    ],
    [
      new GRPCUnavailableError(
        '14 UNAVAILABLE: Name resolution failed for target dns:nohost:2379: getaddrinfo ENOTFOUND nohost',
      ),
      'host name not found',
    ],
    [new GRPCUnavailableError('14 UNAVAILABLE: etcdserver: no leader'), 'this etcd member has no leader'],
    [
      new EtcdAuthenticationFailedError(
        '3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password',
      ),
      'log-in refused: wrong user name or password',
    ],
    [
      new EtcdPermissionDeniedError('7 PERMISSION_DENIED: etcdserver: permission denied'),
      'permission denied: the user may not read these keys',
    ],
    [new Error('3 INVALID_ARGUMENT: etcdserver: user name is empty'), 'etcd asks for a user name and password'],
    [new EtcdInvalidAuthTokenError('etcdserver: invalid auth token'), 'the log-in has expired'],
    [new Error('13 INTERNAL: something\n new'), 'something new'],
    ['a thrown text', 'a thrown text'],
  ];
  for (const [error, sentence] of cases) assert.equal(describeEtcdError(error), sentence);
});

test('a sentence has a bound', () => {
  assert.ok(describeEtcdError(new Error('x'.repeat(10_000))).length <= 200);
});

test('tells what a new log-in may mend', () => {
  assert.ok(isTokenError(new GRPCUnauthenticatedError('the token is not valid')));
  assert.ok(isTokenError(new Error('etcdserver: revision of auth store is old')));
  assert.ok(isTokenError(new Error('etcdserver: user name is empty')));
  assert.ok(
    !isTokenError(new EtcdAuthenticationFailedError('etcdserver: authentication failed, invalid user ID or password')),
  );
  assert.ok(!isTokenError(new EtcdPermissionDeniedError('etcdserver: permission denied')));
  assert.ok(isAuthDisabled(new Error('9 FAILED_PRECONDITION: etcdserver: authentication is not enabled')));
});
