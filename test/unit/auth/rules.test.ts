import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AuthRule, AuthRules } from '../../../src/auth/rules.js';
import { type AddressRange, parseAddressRange } from '../../../src/config/address.js';

function ranges(...texts: readonly string[]): readonly AddressRange[] {
  return texts.map((text) => {
    const result = parseAddressRange(text);
    assert.ok(result.ok, text);
    return result.value;
  });
}

function rule(partial: Partial<AuthRule>): AuthRule {
  return { addresses: null, databases: null, users: null, method: 'trust', ...partial };
}

function matches(rangeTexts: readonly string[], address: string): boolean {
  const rules = new AuthRules([rule({ addresses: ranges(...rangeTexts) })], 'reject');
  return rules.match({ address, database: 'd', user: 'u' }).method === 'trust';
}

test('the first rule that matches decides, and the default when none does', () => {
  const rules = new AuthRules(
    [
      rule({ users: ['admin'], method: 'reject' }),
      rule({ addresses: ranges('10.0.0.0/8'), databases: ['app', 'shop'], method: 'md5' }),
      rule({ addresses: ranges('10.0.0.0/8', '::1'), method: 'password' }),
    ],
    'scram-sha-256',
  );
  const match = (address: string, database: string, user: string) => rules.match({ address, database, user });
  assert.deepEqual(match('10.1.1.1', 'app', 'admin'), { method: 'reject', ruleNumber: 1 });
  assert.deepEqual(match('10.1.1.1', 'shop', 'u'), { method: 'md5', ruleNumber: 2 });
  assert.deepEqual(match('10.1.1.1', 'other', 'u'), { method: 'password', ruleNumber: 3 });
  assert.deepEqual(match('::1', 'app', 'u'), { method: 'password', ruleNumber: 3 });
  assert.deepEqual(match('11.1.1.1', 'app', 'u'), { method: 'scram-sha-256', ruleNumber: null });
});

test('names are compared as they are written', () => {
  const rules = new AuthRules([rule({ users: ['App'], databases: ['all'], method: 'md5' })], 'reject');
  assert.equal(rules.match({ address: '::1', database: 'all', user: 'App' }).method, 'md5');
  assert.equal(rules.match({ address: '::1', database: 'all', user: 'app' }).method, 'reject');
  assert.equal(rules.match({ address: '::1', database: 'x', user: 'App' }).method, 'reject');
  assert.equal(rules.match({ address: '::1', database: '__proto__', user: 'constructor' }).method, 'reject');
});

test('networks match what lies in them, with bits behind the prefix ignored', () => {
  assert.equal(matches(['10.9.8.7/8'], '10.255.0.1'), true);
  assert.equal(matches(['10.9.8.7/8'], '11.0.0.1'), false);
  assert.equal(matches(['192.168.1.4/30'], '192.168.1.7'), true);
  assert.equal(matches(['192.168.1.4/30'], '192.168.1.8'), false);
  assert.equal(matches(['2001:db8::/33'], '2001:db8:7fff::1'), true);
  assert.equal(matches(['2001:db8::/33'], '2001:db8:8000::1'), false);
  assert.equal(matches(['127.0.0.1'], '127.0.0.1'), true);
  assert.equal(matches(['127.0.0.1'], '127.0.0.2'), false);
});

test('every IPv4 client is one thing, every IPv6 client another', () => {
  assert.equal(matches(['0.0.0.0/0'], '1.2.3.4'), true);
  assert.equal(matches(['0.0.0.0/0'], '::ffff:1.2.3.4'), true);
  assert.equal(matches(['0.0.0.0/0'], '2001::1'), false);
  assert.equal(matches(['::/0'], '2001::1'), true);
  assert.equal(matches(['::/0'], '1.2.3.4'), false);
  assert.equal(matches(['::/0'], '::ffff:1.2.3.4'), false);
});

test('IPv4 addresses in IPv6 notation are IPv4 addresses, in clients and in rules', () => {
  assert.equal(matches(['10.0.0.0/8'], '::ffff:10.1.2.3'), true);
  assert.equal(matches(['10.0.0.0/8'], '::FFFF:a01:203'), true);
  assert.equal(matches(['::ffff:10.0.0.0/104'], '10.1.2.3'), true);
  assert.equal(matches(['::ffff:10.0.0.0/104'], '::ffff:10.1.2.3'), true);
  assert.equal(matches(['::ffff:10.0.0.0/104'], '11.1.2.3'), false);
});

test('the zone of a link-local address is ignored', () => {
  assert.equal(matches(['fe80::/10'], 'fe80::1%eth0'), true);
});

test('a client without an IP address is matched by rules for every address only', () => {
  assert.equal(matches(['0.0.0.0/0', '::/0'], ''), false);
  assert.equal(matches(['0.0.0.0/0', '::/0'], '/run/x.sock'), false);
  const rules = new AuthRules([rule({ method: 'md5' })], 'reject');
  assert.equal(rules.match({ address: '', database: 'd', user: 'u' }).method, 'md5');
});

test('a range that is none is reported with the number of its rule', () => {
  const bad = (range: AddressRange) => () => new AuthRules([rule({}), rule({ addresses: [range] })], 'md5');
  assert.throws(bad({ address: 'x', prefix: 8, family: 'ipv4' }), /authentication rule 2: "x\/8"/);
  assert.throws(bad({ address: '10.0.0.0', prefix: 33, family: 'ipv4' }), /authentication rule 2: "10.0.0.0\/33"/);
  assert.throws(bad({ address: '::1', prefix: 129, family: 'ipv6' }), /authentication rule 2: "::1\/129"/);
});
