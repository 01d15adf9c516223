import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspectionValues, INSPECTION_SQL, readInspection } from '../../../../src/session/state/session-inspection.js';
import { PinReason } from '../../../../src/sql/pin-reason.js';
import { frontend } from '../../../support/raw-messages.js';
import { Talk } from './conversation-state.js';

const hex = (text: string): string => Buffer.from(text).toString('hex');

/** The node answers with these rows. */
function inspect(talk: Talk, ...rows: readonly (readonly [kind: string, name?: string, value?: string])[]): Talk {
  const cells = rows.map(([kind, name, value]) => [
    kind,
    name === undefined ? null : hex(name),
    value === undefined ? null : hex(value),
  ]);
  talk.state.inspected(readInspection(cells), talk.facts.clientEncoding);
  return talk;
}

test('a session about which nothing is in doubt has nothing to ask', () => {
  const talk = new Talk().query('SET geqo = on').query('LISTEN x').query('SELECT 1').query('CALL f()', 'EI');
  assert.equal(new Talk().query('SET geqo = on').query('LISTEN x').state.doubts, 0);
  assert.equal(talk.state.doubts, 1, 'a procedure may have committed before it failed');
});

test('an inspection that finds nothing frees the session of everything that a node can be asked about', () => {
  const talk = new Talk()
    .query('CALL f()')
    .query('UNHEARD OF')
    .query('SELECT pg_try_advisory_lock(1)')
    .query('CREATE TEMP TABLE t (a int)')
    .query("SELECT set_config('geqo', $1, false)");
  assert.ok(talk.state.isProvable);
  assert.equal(talk.pins.length, 5);
  assert.deepEqual(inspect(talk).pins, []);
  assert.equal(talk.state.replay(), null);
  assert.ok(talk.state.isCleanable);
});

test('what a node cannot be asked about stays, and there is no use in asking', () => {
  for (const sql of [
    'SELECT lastval()',
    "LOAD 'x'",
    'SELECT setseed(0.5)',
    'DO $$ BEGIN PERFORM set_config(n, v, false); END $$',
  ]) {
    const talk = new Talk().query('SELECT pg_try_advisory_lock(1)').query(sql);
    assert.ok(!talk.state.isProvable, sql);
    assert.equal(inspect(talk).pins.length, 1, sql);
  }
});

test('what is really there pins by its name from then on', () => {
  const talk = new Talk().query('CALL f()');
  inspect(talk, ['temporary', 't'], ['temporary'], ['cursor', 'c'], ['lock']);
  assert.deepEqual(talk.pins, ['advisory_lock', 'temporary_object t', 'temporary_object', 'cursor_with_hold c']);
  assert.deepEqual(talk.query('CLOSE c').query('DROP TABLE t').pins, ['advisory_lock', 'temporary_object']);
});

test('what may be gone is asked for again: a lock given back, a table dropped', () => {
  const talk = inspect(new Talk().query('SELECT pg_advisory_lock(1)'), ['lock']);
  const asked = talk.state.doubts;
  assert.equal(talk.query('SELECT 1').state.doubts, asked);
  assert.ok(talk.query('SELECT pg_advisory_unlock(1)').state.doubts > asked);
  assert.deepEqual(inspect(talk).pins, []);
  const unlocked = talk.state.doubts;
  assert.equal(talk.query('SELECT pg_advisory_unlock(1)').state.doubts, unlocked, 'nothing is held');
  assert.ok(talk.query('DROP TABLE t').state.doubts > unlocked);
});

test('settings that were changed without a word are taken over, in place of what was known', () => {
  const talk = new Talk().query('SET geqo = on').query('SET work_mem = 64').query("SET app.a = 'x'").query('CALL f()');
  inspect(
    talk,
    ['setting', 'work_mem', '128'],
    ['setting', 'search_path', `"it's"\\`],
    ['made_up', 'app.a', 'y'],
    ['role', 'boss'],
  );
  assert.deepEqual(talk.replayed, [
    `Q SELECT pg_catalog.set_config('work_mem', '128', false)|`,
    `Q SELECT pg_catalog.set_config('app.a', 'y', false)|`,
    'Q SET ROLE "boss"|',
    "Q SET client_encoding TO 'UTF8'|",
    'Q SET standard_conforming_strings TO on|',
    `Q SELECT pg_catalog.set_config('search_path', E'"it''s"\\\\', false)|`,
    'Q RESET client_encoding|',
    'Q RESET standard_conforming_strings|',
  ]);
  assert.deepEqual(talk.pins, []);
});

test('settings that were not in doubt stay as they were written', () => {
  const talk = new Talk().query('SET geqo = on').query('SELECT pg_advisory_lock(1)');
  assert.deepEqual(inspect(talk, ['setting', 'work_mem', '128']).replayed, ['Q SET geqo = on|']);
});

test('a setting that the role of the session cannot set again pins', () => {
  const talk = inspect(new Talk().query('CALL f()'), ['fixed', 'log_statement']);
  assert.deepEqual(talk.pins, [PinReason.Setting]);
  const own = new Talk().query('SET log_statement = 1').query('CALL f()');
  assert.deepEqual(
    inspect(own, ['fixed', 'log_statement']).replayed,
    ['Q SET log_statement = 1|'],
    'as the user of then',
  );
});

test('channels and statements that came about out of sight are taken over, others are forgotten', () => {
  const talk = new Talk().query('LISTEN a').prepare('s1', 'SELECT 1').prepare('s2', 'SELECT 2').query('CALL f()');
  inspect(talk, ['channel', 'b'], ['prepared', 's2'], ['prepared', 'p', 'PREPARE p AS SELECT 3']);
  assert.deepEqual(talk.replayed, ['P s2|SELECT 2|||', 'Q PREPARE p AS SELECT 3|', 'Q LISTEN "b"|']);
  inspect(talk.query('CALL f()'), ['prepared', 'q', 'SELECT 1; PREPARE q AS SELECT 4']);
  assert.deepEqual(talk.pins, ['prepared_in_sql q'], 'which of the strings it was cannot be told');
  assert.deepEqual(talk.query('DEALLOCATE q').pins, []);
  inspect(talk.sendUnread(frontend.parse('SELECT 1', { name: 'large' })).hear('1I'), ['prepared', 'large']);
  assert.deepEqual(talk.pins, ['too_many_prepared large']);
});

test('settings with made-up names are asked for by the names that were seen', () => {
  const talk = new Talk()
    .query(
      "DO $$ BEGIN PERFORM set_config('App.One', v, false); SET app.two = 1; PERFORM set_config(n, v, true); END $$",
    )
    .query("SELECT set_config('app.three', $1, false)")
    .query('SET app.four = 1');
  assert.deepEqual([...talk.state.question.names].toSorted(), ['app.four', 'app.one', 'app.three', 'app.two']);
  assert.ok(talk.state.question.isProcedure);
  assert.deepEqual(inspectionValues({ names: ['a.b', "x'y"], isProcedure: false }), ['{"a.b"}', 'f']);
  assert.ok(talk.state.isProvable);
  assert.ok(!inspect(talk, ['made_up', 'app.one', '']).state.isCleanable, 'DISCARD ALL leaves the name');
});

test('names that cannot be compared are left alone', () => {
  const talk = new Talk().prepare('größe', 'SELECT 1').query('CALL f()');
  talk.facts = { ...talk.facts, clientEncoding: 'LATIN1' };
  assert.deepEqual(inspect(talk, ['prepared', 'größe']).pins, [PinReason.Procedure]);
});

test('the question names the schema of everything', () => {
  assert.doesNotMatch(INSPECTION_SQL, /(?<!pg_catalog\.)\b(current_setting|lower|encode|convert_to|pg_backend_pid)\(/);
  assert.doesNotMatch(INSPECTION_SQL, /\\|--/);
});
