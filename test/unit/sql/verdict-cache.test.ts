import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unreadFacts } from '../../../src/sql/analysis.js';
import type { Analysis } from '../../../src/sql/analysis.js';
import { VERDICT_BYTES_EACH_MAX, VerdictCache } from '../../../src/sql/verdict-cache.js';
import type { Verdict } from '../../../src/sql/verdict-cache.js';

function verdict(functions: readonly string[] = []): Verdict {
  const analysis: Analysis = {
    statements: [{ ...unreadFacts, effects: [], functions }],
    template: null,
  };
  return { kind: 'analysis', analysis };
}

test('gives back what was kept, and counts', () => {
  const cache = new VerdictCache();
  assert.equal(cache.get('select 1'), undefined);
  const kept = verdict();
  cache.set('select 1', kept);
  assert.equal(cache.get('select 1'), kept);
  assert.equal(cache.get('select 2'), undefined);
  assert.deepEqual([cache.hits, cache.misses, cache.size], [1, 2, 1]);
});

test('drops the least recently used when there are too many', () => {
  const cache = new VerdictCache({ verdictsMax: 2 });
  cache.set('a', verdict());
  cache.set('b', verdict());
  assert.ok(cache.get('a'));
  cache.set('c', verdict());
  assert.equal(cache.get('b'), undefined);
  assert.ok(cache.get('a'));
  assert.ok(cache.get('c'));
  assert.equal(cache.size, 2);
});

test('stays below its limit of memory, whatever is kept', () => {
  const cache = new VerdictCache({ bytesMax: 50_000 });
  for (let i = 0; i < 1000; i += 1) {
    cache.set(
      `${i} ${'x'.repeat(i)}`,
      i % 2 === 0 ? verdict(['f'.repeat(i)]) : { kind: 'tree', statements: [], treeBytes: i * 5 },
    );
    assert.ok(cache.bytes <= 50_000);
  }
  assert.ok(cache.size > 3 && cache.size < 100);
});

test('trees, names and templates count', () => {
  const cache = new VerdictCache();
  const bytesOf = (template: string, kept: Verdict): number => {
    const before = cache.bytes;
    cache.set(template, kept);
    return cache.bytes - before;
  };
  const small = bytesOf('a', verdict());
  assert.ok(bytesOf('b'.repeat(5000), verdict()) >= small + 4999);
  assert.ok(bytesOf('c', verdict(['f'.repeat(5000)])) >= small + 5000);
  assert.ok(bytesOf('d', { kind: 'tree', statements: [], treeBytes: 5000 }) >= small + 5000);
});

test('what is very large is not kept, so that it drives out nothing', () => {
  const cache = new VerdictCache();
  cache.set('a', verdict());
  cache.set('b', { kind: 'tree', statements: [], treeBytes: VERDICT_BYTES_EACH_MAX });
  assert.equal(cache.get('b'), undefined);
  assert.ok(cache.get('a'));
});
