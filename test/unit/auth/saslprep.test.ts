import assert from 'node:assert/strict';
import { test } from 'node:test';
import { preparePassword } from '../../../src/auth/saslprep.js';

const prepared = (text: string) => preparePassword(Buffer.from(text, 'utf8')).toString('utf8');

test('the examples of RFC 4013 come out, and refused passwords stay as they are', () => {
  assert.equal(prepared('I\u00adX'), 'IX');
  assert.equal(prepared('user'), 'user');
  assert.equal(prepared('USER'), 'USER');
  assert.equal(prepared('\u00aa'), 'a');
  assert.equal(prepared('\u2168'), 'IX');
  assert.equal(prepared('\u0007'), '\u0007');
  assert.equal(prepared('\u0627\u0031'), '\u0627\u0031');
});

test('spaces become ASCII, invisible characters go, letters are composed', () => {
  assert.equal(prepared('a\u00a0b\u3000c\u200bd'), 'a b c d');
  assert.equal(prepared('\ufeffa\u200db\ufe0f\u00e9'), 'ab\u00e9');
  assert.equal(prepared('e\u0301'), '\u00e9');
});

test('a password of which nothing would be left stays as it is', () => {
  assert.equal(prepared('\u00ad'), '\u00ad');
  assert.equal(prepared(''), '');
});

test('bytes that are not UTF-8 stay as they are', () => {
  for (const bytes of [[0xe9], [0x70, 0xff, 0x70], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0xaf]]) {
    assert.deepEqual(preparePassword(Buffer.from(bytes)), Buffer.from(bytes));
  }
});

test('characters that PostgreSQL refuses before it normalizes are refused too', () => {
  for (const text of ['x\u0340', 'x\u{1f100}', 'x\u{1e030}', 'x\ufa6c', 'x\u2c7c']) {
    assert.notEqual(text.normalize('NFKC'), text);
    assert.equal(prepared(text), text);
  }
});
