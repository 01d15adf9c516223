import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry, register } from 'prom-client';
import { addProcessMetrics } from '../../../src/metrics/process-metrics.js';
import { parseExposition, valueOf } from './exposition.js';

test('the process is described under the usual names, and the global registry stays empty', async () => {
  const registry = new Registry();
  addProcessMetrics(registry);
  const families = parseExposition(await registry.metrics());
  for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_heap_size_used_bytes']) {
    assert.ok((valueOf(families, name) ?? 0) > 0, name);
  }
  assert.deepEqual(register.getMetricsAsArray(), []);
});

test('what is dear to count or spoilt by a second reader is left out', async () => {
  const registry = new Registry();
  addProcessMetrics(registry);
  const names = [...parseExposition(await registry.metrics()).keys()];
  assert.deepEqual(
    names.filter((name) => /eventloop|active/.test(name)),
    [],
  );
});

test('open files are counted, with those that were opened since', { skip: process.platform !== 'linux' }, async () => {
  const registry = new Registry();
  addProcessMetrics(registry);
  const { open } = await import('node:fs/promises');
  const count = async () => valueOf(parseExposition(await registry.metrics()), 'process_open_fds') ?? 0;
  const before = await count();
  assert.ok(before > 2);
  const files = await Promise.all(Array.from({ length: 10 }, () => open('/dev/null')));
  const during = await count();
  await Promise.all(files.map((file) => file.close()));
  assert.equal(during, before + 10);
});
