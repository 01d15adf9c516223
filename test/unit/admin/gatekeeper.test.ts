import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback, whyRefused } from '../../../src/admin/gatekeeper.js';
import type { AdminAccess } from '../../../src/admin/gatekeeper.js';

const HOME: AdminAccess = { address: { host: '127.0.0.1', port: 9432 }, token: null };
const WIDE: AdminAccess = { address: { host: '::', port: 9432 }, token: null };
const GUARDED: AdminAccess = { ...WIDE, token: 'open sesame'.replace(' ', '-') };
const json = { 'content-type': 'application/json', host: '127.0.0.1:9432' };

function status(headers: Record<string, string>, peer: string | undefined, access: AdminAccess): number {
  return whyRefused(headers, peer, access)?.status ?? 0;
}

test('without a token: processes of this machine, where nobody else can come', () => {
  assert.equal(status(json, '127.0.0.1', HOME), 0);
  assert.equal(status(json, '::ffff:127.0.0.1', HOME), 0);
  assert.equal(status(json, '10.0.0.9', HOME), 403);
  assert.equal(status(json, undefined, HOME), 403);
  assert.equal(status(json, '127.0.0.1', WIDE), 403, 'who listens everywhere needs a token');
});

test('with a token: whoever knows it, from wherever', () => {
  assert.equal(status({ ...json, authorization: 'Bearer open-sesame' }, '10.0.0.9', GUARDED), 0);
  assert.equal(status({ ...json, authorization: 'bearer  open-sesame' }, '10.0.0.9', GUARDED), 0);
  for (const authorization of [
    '',
    'open-sesame',
    'Bearer',
    'Bearer open-sesam',
    'Bearer open-sesame1',
    'Basic open-sesame',
  ]) {
    assert.equal(status({ ...json, authorization }, '127.0.0.1', GUARDED), 401, authorization);
  }
  assert.equal(status(json, '127.0.0.1', GUARDED), 401);
});

test('a name that is not ours is that of a page which was bent to the loopback', () => {
  for (const host of ['localhost', 'localhost:9432', '[::1]:9432', '127.0.0.1', '10.0.0.1:80']) {
    assert.equal(status({ ...json, host }, '127.0.0.1', HOME), 0, host);
  }
  for (const host of [
    'evil.example',
    'evil.example:9432',
    '',
    '127.0.0.1.evil.example',
    '[evil]',
    'localhost:9432:1',
  ]) {
    assert.equal(status({ ...json, host }, '127.0.0.1', HOME), 403, host);
  }
  const named: AdminAccess = { address: { host: 'localhost', port: 1 }, token: null };
  assert.equal(status({ ...json, host: 'LocalHost:1' }, '127.0.0.1', named), 0);
});

test('what a form or a page can send without being asked is refused', () => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', '']) {
    assert.equal(status({ ...json, 'content-type': type }, '127.0.0.1', HOME), 415, type);
  }
  assert.equal(status({ ...json, 'content-type': 'Application/JSON; charset=utf-8' }, '127.0.0.1', HOME), 0);
});

test('the loopback is known in all its forms', () => {
  for (const host of ['127.0.0.1', '127.8.8.8', '::1', 'localhost', '::ffff:127.0.0.1'])
    assert.ok(isLoopback(host), host);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', 'example.org', '', '::ffff:10.0.0.1']) {
    assert.ok(!isLoopback(host), host);
  }
});
