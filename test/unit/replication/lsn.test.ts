import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatLsn,
  isPageStart,
  lsnBytesBehind,
  parseLsn,
  recordEnd,
  timelineOfWalFile,
} from '../../../src/replication/lsn.js';

test('pg_lsn text is read as one number', () => {
  assert.equal(parseLsn('0/0'), 0n);
  assert.equal(parseLsn('16/B374D848'), 0x16_b374_d848n);
  assert.equal(parseLsn('FFFFFFFF/FFFFFFFF'), 0xffff_ffff_ffff_ffffn);
  assert.equal(parseLsn('1/0000000A'), (1n << 32n) + 10n, 'a zero-padded low half is the same number');
});

test('what is not pg_lsn text is refused', () => {
  for (const text of ['', '16', '/1', '1/', 'G/1', '123456789/0', '1/123456789', ' 1/2', '1/2 ', '1/2/3', '-1/2']) {
    assert.equal(parseLsn(text), null, text);
  }
});

test('a position is written as PostgreSQL writes it', () => {
  for (const text of ['0/0', '0/3000060', '16/B374D848', 'FFFFFFFF/FFFFFFFF', '1/A']) {
    assert.equal(formatLsn(parseLsn(text) ?? -1n), text);
  }
});

test('bytes behind are never negative', () => {
  assert.equal(lsnBytesBehind(100n, 40n), 60);
  assert.equal(lsnBytesBehind(100n, 100n), 0);
  assert.equal(lsnBytesBehind(100n, 101n), 0);
  assert.equal(lsnBytesBehind((1n << 32n) + 1n, (1n << 32n) - 1n), 2);
});

test('the name of a WAL file begins with its timeline in hexadecimal digits', () => {
  assert.equal(timelineOfWalFile('000000010000000000000003'), 1);
  assert.equal(timelineOfWalFile('0000001F0000000200000003'), 31);
  assert.equal(timelineOfWalFile('00000000'), null, 'there is no timeline 0');
  assert.equal(timelineOfWalFile('history'), null);
  assert.equal(timelineOfWalFile(''), null);
});

test('an insert position behind the header of a page is the end of the page before it', () => {
  const end = (text: string): string => formatLsn(recordEnd(parseLsn(text) ?? -1n));
  assert.equal(end('0/3002018'), '0/3002000', 'the header of a page has 24 bytes');
  assert.equal(end('0/4000028'), '0/4000000', 'that of the first page of a segment has 40');
  assert.equal(end('0/4100028'), '0/4100000', 'a segment may be as small as 1 MB');
  assert.equal(end('7/FF000028'), '7/FF000000');
});

test('every other insert position is the end of a record', () => {
  for (const text of ['0/3002000', '0/3002020', '0/3002028', '0/3002030', '0/4000030', '0/3001FF8', '0/3000060']) {
    assert.equal(formatLsn(recordEnd(parseLsn(text) ?? -1n)), text);
  }
});

test('a page of WAL begins every 8 kB', () => {
  assert.equal(isPageStart(0x3002000n), true);
  assert.equal(isPageStart(0x3001000n), false);
  assert.equal(isPageStart(0x3002018n), false);
});
