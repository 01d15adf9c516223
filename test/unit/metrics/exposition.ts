import assert from 'node:assert/strict';

/** One line with a value. */
export interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

/** A metric with all its lines. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly Sample[];
}

interface Growing extends Family {
  readonly samples: Sample[];
}

const SAMPLE_LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)/y;

/** Reads Prometheus's text format strictly: what it does not allow fails the test. */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
  assert.ok(text.endsWith('\n'), 'the last line must end');
  const families = new Map<string, Growing>();
  let current = '';
  const helps = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      assert.equal(helps.has(name), false, `HELP of ${name} comes twice`);
      helps.set(name, rest);
    } else if (keyword === 'TYPE') {
      assert.ok(helps.has(name), `HELP of ${name}`);
      assert.equal(families.has(name), false, `${name} comes twice`);
      current = name;
      families.set(name, { name, help: helps.get(name) ?? '', type: rest, samples: [] });
    } else {
      const sample = parseSample(line);
      const owner = families.get(current);
      assert.ok(owner !== undefined && belongsTo(sample.name, owner), `${sample.name} stands under its own TYPE`);
      owner.samples.push(sample);
    }
  }
  return families;
}

function belongsTo(name: string, family: { readonly name: string; readonly type: string }): boolean {
  if (family.type !== 'histogram') return name === family.name;
  return ['_bucket', '_sum', '_count'].some((suffix) => name === family.name + suffix);
}

function parseSample(line: string): Sample {
  const [, name, inner = '', valueText] = SAMPLE_LINE.exec(line) ?? [];
  assert.ok(name !== undefined && valueText !== undefined, `not a line of the format: ${line}`);
  const labels = new Map<string, string>();
  for (let at = 0; at < inner.length; at = LABEL.lastIndex) {
    LABEL.lastIndex = at;
    const match = LABEL.exec(inner);
    assert.ok(match !== null, `labels of ${line}`);
    assert.equal(labels.has(match[1] ?? ''), false, `label ${match[1]} twice: ${line}`);
    labels.set(
      match[1] ?? '',
      (match[2] ?? '').replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c)),
    );
  }
  const value = valueText === '+Inf' ? Number.POSITIVE_INFINITY : Number(valueText);
  assert.equal(Number.isNaN(value), false, `value of ${line}`);
  return { name, labels, value };
}

/** The rules that Prometheus's own linter checks, and ours: no unit but base units, no series twice, histograms that add up. */
export function assertWellFormed(families: ReadonlyMap<string, Family>): void {
  for (const { name, help, type, samples } of families.values()) {
    assert.match(help, /^[A-Z].{10,}\.$/, `help of ${name} is a sentence`);
    assert.equal(type === 'counter', name.endsWith('_total'), `${name} is a ${type}`);
    assert.doesNotMatch(name, /(milliseconds|_ms|kilobytes|minutes|hours|percent)(_|$)/, `${name} has a base unit`);
    const seen = new Set<string>();
    for (const sample of samples) {
      const key = `${sample.name} ${[...sample.labels]
        .map(([label, value]) => `${label}=${value}`)
        .sort()
        .join()}`;
      assert.equal(seen.has(key), false, `${key} comes twice`);
      seen.add(key);
      if (type === 'counter') assert.ok(sample.value >= 0, `${key} is ${sample.value}`);
      if (type !== 'histogram') assert.equal(sample.labels.has('le'), false, key);
      assert.equal(sample.labels.has('quantile'), false, key);
    }
    if (type === 'histogram') assertAddsUp(name, samples);
  }
}

function assertAddsUp(name: string, samples: readonly Sample[]): void {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = JSON.stringify([...sample.labels].filter(([label]) => label !== 'le'));
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  for (const group of groups.values()) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const values = buckets.map(({ value }) => value);
    assert.deepEqual(
      values,
      values.toSorted((a, b) => a - b),
      `${name} is cumulative`,
    );
    assert.equal(buckets.at(-1)?.labels.get('le'), '+Inf', `${name} has a last bucket`);
    const count = group.find((sample) => sample.name === `${name}_count`)?.value;
    assert.equal(values.at(-1), count, `${name} counts what is in its buckets`);
    assert.ok(
      group.some((sample) => sample.name === `${name}_sum`),
      `${name} has a sum`,
    );
  }
}

/** The value of the one series with exactly these labels; undefined when it is not there. */
export function valueOf(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const wanted = Object.entries(labels);
  for (const family of families.values()) {
    const found = family.samples.find(
      (sample) =>
        sample.name === name &&
        sample.labels.size === wanted.length &&
        wanted.every(([label, value]) => sample.labels.get(label) === value),
    );
    if (found !== undefined) return found.value;
  }
  return undefined;
}
