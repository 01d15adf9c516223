import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addressesCollide,
  formatAddress,
  isLoopback,
  parseAddressRange,
  parseDialAddress,
  parseListenAddress,
} from '../../../src/config/address.js';

test('listen addresses take names, IPv4, IPv6 in brackets and every interface', () => {
  const cases = [
    ['127.0.0.1:5000', { host: '127.0.0.1', port: 5000 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['[::1]:5432', { host: '::1', port: 5432 }],
    ['*:6432', { host: '::', port: 6432 }],
    [':6432', { host: '::', port: 6432 }],
    ['0.0.0.0:65535', { host: '0.0.0.0', port: 65_535 }],
  ] as const;
  for (const [text, value] of cases) {
    assert.deepEqual(parseListenAddress(text), { ok: true, value }, text);
  }
});

test('what is no listen address is refused', () => {
  for (const text of [
    '',
    'localhost',
    '::1:5000',
    '[::1]',
    '[zz]:5000',
    'a b:5000',
    '-a:5000',
    'h:65536',
    'h:',
    'h:-1',
    'h:5e3',
    '[127.0.0.1]:1',
  ]) {
    assert.equal(parseListenAddress(text).ok, false, text);
  }
});

test('dial addresses take a default port and refuse port 0', () => {
  assert.deepEqual(parseDialAddress('etcd1', 2379), { ok: true, value: { host: 'etcd1', port: 2379 } });
  assert.deepEqual(parseDialAddress('etcd1:2380', 2379), { ok: true, value: { host: 'etcd1', port: 2380 } });
  assert.deepEqual(parseDialAddress('::1', 2379), { ok: true, value: { host: '::1', port: 2379 } });
  assert.deepEqual(parseDialAddress('[::1]', 2379), { ok: true, value: { host: '::1', port: 2379 } });
  assert.deepEqual(parseDialAddress('[::1]:7', 2379), { ok: true, value: { host: '::1', port: 7 } });
  assert.equal(parseDialAddress('etcd1:0', 2379).ok, false);
  assert.equal(parseDialAddress('*:1', 2379).ok, false);
  assert.equal(parseDialAddress('', 2379).ok, false);
});

test('address ranges take a prefix or a single address', () => {
  const range = (address: string, prefix: number, family: 'ipv4' | 'ipv6') => ({
    ok: true,
    value: { address, prefix, family },
  });
  assert.deepEqual(parseAddressRange('10.0.0.0/8'), range('10.0.0.0', 8, 'ipv4'));
  assert.deepEqual(parseAddressRange('0.0.0.0/0'), range('0.0.0.0', 0, 'ipv4'));
  assert.deepEqual(parseAddressRange('10.0.0.1'), range('10.0.0.1', 32, 'ipv4'));
  assert.deepEqual(parseAddressRange('::1'), range('::1', 128, 'ipv6'));
  assert.deepEqual(parseAddressRange('fd00::/8'), range('fd00::', 8, 'ipv6'));
  for (const text of ['10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0/8', 'host', '10.0.0.0/-1', 'fe80::1%lo/64', '/8']) {
    assert.equal(parseAddressRange(text).ok, false, text);
  }
});

test('addresses collide on the same port when one machine cannot bind both', () => {
  const at = (host: string, port = 5000) => ({ host, port });
  assert.ok(addressesCollide(at('127.0.0.1'), at('127.0.0.1')));
  assert.ok(addressesCollide(at('LOCALHOST'), at('localhost')));
  assert.ok(addressesCollide(at('::'), at('127.0.0.1')));
  assert.ok(addressesCollide(at('::1'), at('::')));
  assert.ok(addressesCollide(at('0.0.0.0'), at('127.0.0.1')));
  assert.ok(addressesCollide(at('localhost'), at('0.0.0.0')));
  assert.ok(!addressesCollide(at('0.0.0.0'), at('::1')));
  assert.ok(!addressesCollide(at('127.0.0.1'), at('127.0.0.2')));
  assert.ok(!addressesCollide(at('127.0.0.1'), at('127.0.0.1', 5001)));
  assert.ok(!addressesCollide(at('127.0.0.1', 0), at('127.0.0.1', 0)), 'port 0 is another port each time');
});

test('loopback is told apart from everything else', () => {
  for (const host of ['127.0.0.1', '127.3.2.1', '::1', 'localhost', 'LocalHost']) {
    assert.ok(isLoopback(host), host);
  }
  for (const host of ['::', '0.0.0.0', '10.0.0.1', '127.evil.example', 'db1']) {
    assert.ok(!isLoopback(host), host);
  }
});

test('formatted addresses put brackets round IPv6', () => {
  assert.equal(formatAddress({ host: '::1', port: 5 }), '[::1]:5');
  assert.equal(formatAddress({ host: 'a', port: 5 }), 'a:5');
});
