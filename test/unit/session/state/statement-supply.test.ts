import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Applied } from '../../../../src/session/state/applied.js';
import { trustAll } from '../../../../src/session/state/function-trust.js';
import { SharedIdentities } from '../../../../src/session/state/identities.js';
import { frontend } from '../../../support/raw-messages.js';
import { Talk } from './conversation-state.js';

/** Sessions that take turns on one backend, which keeps so many statements. */
function begin(sessions: number, statementsMax = 10): { talks: readonly Talk[]; there: Applied } {
  const common = { identities: new SharedIdentities(), trust: trustAll };
  const talks = Array.from({ length: sessions }, () => new Talk(10, new Map(), common));
  return { talks, there: new Applied(() => statementsMax) };
}

/** The session gets the backend, runs something there, and gives it back. */
function inTurn<T>(talk: Talk, there: Applied, run: () => T): T {
  assert.deepEqual(talk.attach(there), []);
  const result = run();
  talk.state.leave(there);
  return result;
}

/** Each of them prepares its statement under the same name, where it has the backend for itself. */
function prepareEach(talks: readonly Talk[], texts: readonly string[]): void {
  for (const [i, talk] of talks.entries()) {
    inTurn(talk, new Applied(() => 10), () => talk.prepare('s', texts[i] ?? ''));
  }
}

const used = ['s'];

test('whoever finds its name taken gets another one, once for all that have the same statement', () => {
  const { talks, there } = begin(3);
  const [first, second, third] = talks;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  prepareEach(talks, ['select 1', 'select 2', 'select 2']);
  assert.deepEqual(
    inTurn(first, there, () => first.need(used, [], used)),
    ['C Ss|', 'P s|select 1|||'],
  );
  const [parsed, ...others] = inTurn(second, there, () => second.need(used, [], used)).slice(1);
  assert.match(parsed ?? '', /^P switchyard_s\d+\|select 2\|\|\|$/);
  assert.deepEqual(others, []);
  const name = /switchyard_s\d+/.exec(parsed ?? '')?.[0];
  inTurn(third, there, () => {
    assert.deepEqual(third.need(used, [], used), [], 'it is there');
    assert.deepEqual([...(third.state.aliasesOf(used) ?? [])], [['s', name]]);
  });
  inTurn(first, there, () => {
    assert.deepEqual(first.need(used, [], used), [], 'and so is the first');
    assert.equal(first.state.aliasesOf(used), null);
  });
});

test('a unit that knows the name gets the statement under it', () => {
  const { talks, there } = begin(2);
  const [first, second] = talks;
  assert.ok(first !== undefined && second !== undefined);
  prepareEach(talks, ['select 1', 'select 2']);
  inTurn(first, there, () => first.need(used, [], used));
  inTurn(second, there, () => second.need(used, [], used));
  assert.deepEqual(
    inTurn(second, there, () => second.need(used)),
    ['C Ss|', 'P s|select 2|||'],
  );
  assert.deepEqual(
    inTurn(second, there, () => second.state.aliasesOf(used)),
    null,
    'its own name goes first',
  );
});

test('a statement that could not be prepared under another name is tried again by the next unit', () => {
  const { talks, there } = begin(2);
  const [first, second] = talks;
  assert.ok(first !== undefined && second !== undefined);
  prepareEach(talks, ['select 1', 'select 2']);
  inTurn(first, there, () => first.need(used, [], used));
  inTurn(second, there, () => second.need(used, [0], used));
  assert.equal(inTurn(second, there, () => second.need(used, [], used)).length, 2);
});

test('in a transaction that has failed names are what they are', () => {
  const { talks, there } = begin(2);
  const [first, second] = talks;
  assert.ok(first !== undefined && second !== undefined);
  prepareEach(talks, ['select 1', 'rollback']);
  inTurn(first, there, () => first.need(used, [], used));
  second.attach(there);
  second.query('begin', 'CT').send(frontend.query('selec')).hear('EF');
  assert.deepEqual(second.need(used, [], used), ['C Ss|', 'P s|rollback|||']);
});

test('what was used longest ago is closed when there are too many, and nothing that is needed', () => {
  const { talks, there } = begin(1, 3);
  const [talk] = talks;
  assert.ok(talk !== undefined);
  inTurn(talk, new Applied(() => 10), () => {
    for (const name of ['a', 'b', 'c', 'd']) talk.prepare(name, `select '${name}'`);
  });
  const need = (name: string) => inTurn(talk, there, () => talk.need([name], [], [name]));
  for (const name of ['a', 'b', 'c']) need(name);
  need('a');
  assert.deepEqual(need('d'), ['C Sb|', 'C Sd|', `P d|select 'd'|||`]);
  assert.deepEqual(need('a'), []);
  const all = ['a', 'b', 'c', 'd'];
  assert.deepEqual(
    inTurn(talk, there, () => talk.need(all)),
    ['C Sb|', `P b|select 'b'|||`],
    'what one unit needs is there, though it is too much',
  );
});
