import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { silentLogger } from '../../../../src/log.js';
import type { LogFields } from '../../../../src/log.js';
import {
  RefusedTemplates,
  TEMPLATE_CHARS_MAX,
  TEMPLATES_MAX,
} from '../../../../src/session/split/refused-templates.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { analyze } from './unit-reader.js';

let clock: FakeClock;
let infos: LogFields[];
let warnings: LogFields[];
let refused: RefusedTemplates;

beforeEach(() => {
  clock = new FakeClock();
  infos = [];
  warnings = [];
  refused = new RefusedTemplates(clock, {
    ...silentLogger,
    info: (fields) => infos.push(fields),
    warn: (fields) => warnings.push(fields),
  });
});

function add(template: string, database = 'app'): void {
  refused.add(database, template, '25006', 'cannot do that');
}

test('a template is remembered in its database, and said to the log once', () => {
  add('select f()');
  add('select f()');
  add('select f()', 'other');
  assert.deepEqual([refused.has('app', 'select f()'), refused.has('app', 'select g()')], [true, false]);
  assert.equal(refused.has('third', 'select f()'), false);
  assert.equal(infos.length, 2);
  assert.deepEqual(infos[0], {
    database: 'app',
    template: 'select f()',
    sqlState: '25006',
    message: 'cannot do that',
  });
});

test('after ten minutes a template has another chance, and counts anew when it is refused again', () => {
  add('select f()');
  clock.advance(10 * 60_000 - 1);
  assert.equal(refused.has('app', 'select f()'), true);
  clock.advance(2);
  assert.equal(refused.has('app', 'select f()'), false);
  add('select f()');
  assert.equal(refused.has('app', 'select f()'), true);
  assert.equal(infos.length, 2);
});

test('all is forgotten where definitions have changed', () => {
  add('select f()');
  refused.clear();
  assert.deepEqual([refused.has('app', 'select f()'), refused.size], [false, 0]);
});

test('there is a bound on how many are remembered; the oldest go', () => {
  for (let each = 0; each <= TEMPLATES_MAX; each += 1) add(`select f${each}()`);
  assert.equal(refused.size, TEMPLATES_MAX);
  assert.equal(refused.has('app', 'select f0()'), false);
  assert.equal(refused.has('app', `select f${TEMPLATES_MAX}()`), true);
});

test('there is a bound on how long all of them are; one beyond it is not remembered', () => {
  const long = (name: string): string => `select ${name}() ${' '.repeat(TEMPLATE_CHARS_MAX / 4)}`;
  for (const name of ['a', 'b', 'c', 'd', 'e']) add(long(name));
  assert.equal(refused.has('app', long('a')), false);
  assert.equal(refused.has('app', long('e')), true);
  assert.ok(refused.size <= 4);
  add(' '.repeat(TEMPLATE_CHARS_MAX));
  assert.equal(refused.has('app', ' '.repeat(TEMPLATE_CHARS_MAX)), false);
});

test('a storm of refusals is told once a minute', () => {
  for (let each = 0; each < 99; each += 1) add('select f()');
  assert.equal(warnings.length, 0);
  clock.advance(30_000);
  for (let each = 0; each < 500; each += 1) add('select f()');
  assert.equal(warnings.length, 1);
  assert.deepEqual([warnings[0]?.['refusals'], warnings[0]?.['withinMs']], [100, 30_000]);
  clock.advance(60_001);
  for (let each = 0; each < 100; each += 1) add('select f()');
  assert.equal(warnings.length, 2);
});

test('refusals now and then are no storm', () => {
  for (let each = 0; each < 300; each += 1) {
    add(`select f${each}()`);
    clock.advance(1000);
  }
  assert.equal(warnings.length, 0);
});

test('no literal of a statement is in the log, and no more of it than is of use', () => {
  const { template } = analyze("select f('secret', 4711) where a = $$hidden$$");
  add(template ?? '');
  add(`select ${'x'.repeat(1000)}`);
  assert.doesNotMatch(JSON.stringify(infos), /secret|4711|hidden/);
  assert.equal(String(infos[1]?.['template']).length, 300);
});
