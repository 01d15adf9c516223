import assert from 'node:assert/strict';
import { test } from 'node:test';
import { suggest } from '../../../src/config/suggest.js';

const KEYS = ['max_lag', 'max_lag_bytes', 'min_dwell', 'warm_up', 'size', 'hold_timeout', 'max_idle'];

test('the nearest key is suggested for missing, extra, wrong and swapped letters', () => {
  assert.equal(suggest('max_lga', KEYS), 'max_lag');
  assert.equal(suggest('maxlag', KEYS), 'max_lag');
  assert.equal(suggest('sizes', KEYS), 'size');
  assert.equal(suggest('sise', KEYS), 'size');
  assert.equal(suggest('mni_dwell', KEYS), 'min_dwell');
  assert.equal(suggest('max_lag_byte', KEYS), 'max_lag_bytes');
});

test('other ways to write a key are the same key', () => {
  assert.equal(suggest('maxLag', KEYS), 'max_lag');
  assert.equal(suggest('max-lag', KEYS), 'max_lag');
  assert.equal(suggest('HOLD_TIMEOUT', KEYS), 'hold_timeout');
});

test('the beginning of a key is enough when nothing is nearer', () => {
  assert.equal(suggest('hold', KEYS), 'hold_timeout');
  assert.equal(suggest('ho', KEYS), null);
});

test('with a largest distance only misspellings within it count', () => {
  assert.equal(suggest('max_lga', KEYS, 1), 'max_lag');
  assert.equal(suggest('nim_dwell', KEYS, 1), null);
  assert.equal(suggest('hold', KEYS, 1), null);
});

test('nothing is suggested for a word that is like none', () => {
  assert.equal(suggest('listen_addresses', KEYS), null);
  assert.equal(suggest('', KEYS), null);
  assert.equal(suggest('size', []), null);
});

test('a very long word is compared by its beginning only', () => {
  assert.equal(suggest('x'.repeat(1_000_000), KEYS), null);
});
