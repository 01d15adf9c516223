import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Applied } from '../../../../src/session/state/applied.js';
import { STALE_MAX } from '../../../../src/session/state/attachment.js';
import { joinReplays, settingReplay } from '../../../../src/session/state/replay-plan.js';
import { readInspection } from '../../../../src/session/state/session-inspection.js';
import { frontend } from '../../../support/raw-messages.js';
import { CLOSES_MAX } from '../../../../src/session/state/statement-supply.js';
import { Talk, textsOf } from './conversation-state.js';

const { parse, bind, execute, sync, close, query } = frontend;
const OWN = 'switchyard_replay';

/** What a statement of ours looks like that leaves the unnamed one alone. */
function quietly(sql: string): readonly string[] {
  return [`C S${OWN}|`, `C P${OWN}|`, `P ${OWN}|${sql}|||`, `B ${OWN}|${OWN}|||||||`, `E ${OWN}|||||`];
}
const tidied = [`C S${OWN}|`, `C P${OWN}|`];

/** A session on the first of two backends. */
function begin(preparedMax = 10): { talk: Talk; a: Applied; b: Applied } {
  const talk = new Talk(preparedMax);
  const [a, b] = [new Applied(), new Applied()];
  assert.deepEqual(talk.attach(a), []);
  return { talk, a, b };
}

test('a backend is brought what was set since it was there last, and nothing when nothing was', () => {
  const { talk, a, b } = begin();
  talk.query('SET geqo = on').query('SET work_mem = 64');
  assert.deepEqual(talk.attach(b), ['Q SET geqo = on|', 'Q SET work_mem = 64|']);
  assert.equal(talk.state.replay({ statements: 'on_demand' }), null);
  assert.deepEqual(talk.attach(a), []);
  talk.query('SET work_mem = 128');
  assert.deepEqual(talk.attach(b), ['Q SET work_mem = 128|']);
  assert.deepEqual(talk.attach(a), []);
});

test('a setting that is gone is reset where it still is, and RESET ALL resets each', () => {
  const { talk, a, b } = begin();
  talk.query('SET geqo = on').query('SET app."User" = \'x\'').query('SET work_mem = 64');
  talk.attach(b);
  talk.query('RESET geqo');
  assert.deepEqual(talk.attach(a), ['Q RESET "geqo"|']);
  talk.query('RESET ALL');
  assert.deepEqual(talk.attach(b), ['Q RESET "app"."user"|', 'Q RESET "work_mem"|']);
});

test('what sets only a half of a setting is set on top of nothing', () => {
  const { talk, b } = begin();
  talk.query("SET datestyle = 'German'");
  const a = new Applied();
  talk.attach(b);
  talk.query('RESET datestyle').query("SET datestyle = 'YMD'");
  assert.deepEqual(talk.attach(a), ["Q SET datestyle = 'YMD'|"]);
  assert.deepEqual(talk.attach(b), []);
  talk.query('RESET datestyle').query("SET datestyle = 'DMY'");
  assert.deepEqual(talk.attach(a), ['Q RESET "datestyle"|', "Q SET datestyle = 'DMY'|"]);
});

test('what may hold up a replay is taken away before it, and set behind it', () => {
  const { talk, a, b } = begin();
  talk.query("SET statement_timeout = '1ms'");
  talk.attach(b);
  talk.query("SET statement_timeout = '2ms'").query('SET geqo = on');
  assert.deepEqual(talk.attach(a), [
    'Q RESET "statement_timeout"|',
    'Q SET geqo = on|',
    "Q SET statement_timeout = '2ms'|",
  ]);
});

test('the user changes in the order in which PostgreSQL lets it', () => {
  const { talk, a, b } = begin();
  talk.query('SET SESSION AUTHORIZATION r1').query('SET ROLE r2');
  assert.deepEqual(talk.attach(b), ['Q SET SESSION AUTHORIZATION r1|', 'Q SET ROLE r2|']);
  talk.query('RESET SESSION AUTHORIZATION').query('SET ROLE r3');
  assert.deepEqual(talk.attach(a), ['Q RESET session_authorization|', 'Q SET ROLE r3|']);
  talk.query('RESET ROLE');
  assert.deepEqual(talk.attach(b), ['Q RESET role|']);
  talk.query('SET SESSION AUTHORIZATION r1');
  assert.deepEqual(talk.attach(a), ['Q SET SESSION AUTHORIZATION r1|'], 'which leaves the role behind');
});

test('a setting is set, and reset, with the rights with which it was set', () => {
  const { talk, a, b } = begin();
  talk.query('SET log_min_duration_statement = 7').query('SET ROLE r1');
  assert.deepEqual(talk.attach(b), ['Q SET log_min_duration_statement = 7|', 'Q SET ROLE r1|']);
  talk.query('RESET ROLE').query('RESET log_min_duration_statement').query('SET ROLE r1');
  assert.deepEqual(talk.attach(a), ['Q RESET role|', 'Q RESET "log_min_duration_statement"|', 'Q SET ROLE r1|']);
});

test('how texts are read is changed and restored', () => {
  const { talk, a, b } = begin();
  talk.query('SET standard_conforming_strings = off').query('SET search_path = s1');
  assert.deepEqual(talk.attach(b), ['Q SET search_path = s1|', 'Q SET standard_conforming_strings = off|']);
  talk.query('RESET standard_conforming_strings').query('RESET search_path');
  assert.deepEqual(talk.attach(a), ['Q RESET search_path|', 'Q RESET standard_conforming_strings|']);
});

test('names of settings that exist from their first mention are mentioned once on each backend', () => {
  const { talk, a, b } = begin();
  talk.query("SET LOCAL app.x = 'y'");
  assert.deepEqual(talk.attach(b), ['Q RESET "app"."x"|']);
  assert.deepEqual(talk.attach(a), []);
  assert.deepEqual(talk.attach(b), []);
});

test('only a backend that can listen does', () => {
  const { talk, a, b } = begin();
  talk.query('LISTEN c1');
  assert.deepEqual(talk.attach(b, { listens: false }), []);
  talk.query('SET geqo = on');
  assert.deepEqual(talk.attach(a), ['Q SET geqo = on|']);
  assert.deepEqual(talk.attach(b, { listens: true }), ['Q LISTEN "c1"|']);
  talk.query('UNLISTEN *').query('LISTEN c2');
  assert.deepEqual(talk.attach(a), ['Q UNLISTEN "c1"|', 'Q LISTEN "c2"|']);
});

test('what a transaction has set is there when it is committed, and not when it is rolled back', () => {
  const { talk, a, b } = begin();
  talk.query('BEGIN', 'CT').query('SET geqo = on', 'CT').query('SAVEPOINT s', 'CT').query('SET work_mem = 64', 'CT');
  assert.equal(talk.state.replay({ statements: 'on_demand' }), null, 'where a transaction is open nothing is missing');
  talk.query('ROLLBACK TO s', 'CT').query('SET LOCAL seed_x.y = 1', 'CT').query('COMMIT');
  assert.deepEqual(talk.attach(b), ['Q SET geqo = on|', 'Q RESET "seed_x"."y"|']);
  talk.query('BEGIN', 'CT').query('RESET geqo', 'CT').query('ROLLBACK');
  assert.deepEqual(talk.attach(a), []);
  assert.deepEqual(talk.attach(b), []);
});

test('DISCARD ALL on one backend is made up for on the other', () => {
  const { talk, b, a } = begin();
  talk.query('SET geqo = on').query('LISTEN c1').prepare('s1', 'SELECT 1');
  talk.attach(b);
  talk.need(['s1']);
  talk.query('DISCARD ALL');
  assert.deepEqual(talk.attach(a), ['C Ss1|', 'Q RESET "geqo"|', 'Q UNLISTEN "c1"|']);
});

test('statements come when they are needed, and once', () => {
  const { talk, a, b } = begin();
  talk.prepare('s1', 'SELECT 1').prepare('s2', 'SELECT 2').query('PREPARE p AS SELECT 3');
  assert.deepEqual(talk.need(['s1', 's2', 'p']), [], 'they were prepared here');
  assert.deepEqual(talk.attach(b), []);
  assert.ok(talk.state.needsPreparing({ names: ['s2'], used: [] }));
  assert.deepEqual(talk.need(['s2', 's2', 'missing']), ['C Ss2|', 'P s2|SELECT 2|||']);
  assert.ok(!talk.state.needsPreparing({ names: ['s2'], used: [] }));
  assert.deepEqual(talk.need(['s2']), []);
  assert.deepEqual(talk.need('all'), [
    'C Ss1|',
    'P s1|SELECT 1|||',
    'C Sp|',
    ...quietly('PREPARE p AS SELECT 3'),
    ...tidied,
  ]);
  assert.deepEqual(talk.need('all'), []);
  assert.deepEqual(talk.attach(a), []);
  assert.deepEqual(talk.need('all'), []);
});

test('a name that means another statement by now is replaced, and one that means none is closed', () => {
  const { talk, a, b } = begin();
  talk.prepare('s1', 'SELECT 1').prepare('s2', 'SELECT 2');
  talk.attach(b);
  talk.need(['s1', 's2']);
  talk
    .send(close('S', 's1'), parse('SELECT 3', { name: 's1' }), sync())
    .hear('31I')
    .query('DEALLOCATE s2');
  talk.attach(a);
  assert.deepEqual(talk.need(['s2']), ['C Ss1|', 'C Ss2|'], 'and what else is closed goes with it');
  assert.deepEqual(talk.need(['s1', 's2']), ['C Ss1|', 'P s1|SELECT 3|||']);
});

test('the unnamed statement is brought along, and what is left of a former one is closed', () => {
  const { talk, a, b } = begin();
  talk.send(parse('SELECT 1'), sync()).hear('1I');
  talk.attach(b);
  assert.deepEqual(talk.need(['']), ['C S|', 'P |SELECT 1|||']);
  talk.query('SELECT 2');
  assert.deepEqual(talk.need(['']), [], 'the simple Query has destroyed it');
  talk.attach(a);
  assert.deepEqual(talk.need(['']), ['C S|']);
  assert.deepEqual(talk.need(['']), []);
});

test('a replay destroys the unnamed statement of its backend', () => {
  const { talk, a, b } = begin();
  talk.send(parse('SELECT 1'), sync()).hear('1I');
  talk.attach(b);
  talk.send(parse('SET geqo = on', { name: 's' }), bind({ statement: 's' }), execute(), sync()).hear('1CI');
  assert.deepEqual(talk.attach(a), ['Q SET geqo = on|']);
  assert.deepEqual(talk.need(['']), ['C S|', 'P |SELECT 1|||']);
});

test('a Parse of the unnamed statement that fails leaves none', () => {
  const { talk, b } = begin();
  talk.send(parse('SELECT 1'), sync()).hear('1I').send(parse('selec'), bind(), sync()).hear('EI');
  talk.attach(b);
  assert.deepEqual(talk.need(['']), []);
});

test('a statement is prepared under its own circumstances, and those of the session are restored', () => {
  const { talk, b } = begin();
  talk.query('SET search_path = s1').prepare('s1', 'SELECT a FROM t').query('SET search_path = s2');
  talk.attach(b);
  assert.deepEqual(talk.need(['s1']), [
    ...quietly('SET search_path = s1'),
    'C Ss1|',
    'P s1|SELECT a FROM t|||',
    ...quietly('SET search_path = s2'),
    ...tidied,
  ]);
});

test('a text that may be read in another way is read as it was', () => {
  const { talk, b } = begin();
  talk.prepare('s1', "SELECT '\\'");
  talk.attach(b);
  assert.deepEqual(talk.need(['s1']).length, 2, 'it is read so anyway');
  const other = begin();
  other.talk.prepare('s1', "SELECT '\\'");
  other.talk.facts = { clientEncoding: 'UTF8', escapesInStrings: true };
  other.talk.query('SET standard_conforming_strings = off');
  other.talk.attach(other.b);
  const texts = other.talk.need(['s1']);
  assert.ok(texts.includes(`P ${OWN}|SET standard_conforming_strings TO on|||`));
  assert.ok(texts.includes(`P ${OWN}|SET standard_conforming_strings = off|||`));
});

test('in a transaction nothing stays of what a statement is prepared under', () => {
  const { talk, b } = begin();
  talk.query('SET search_path = s1').prepare('s1', 'SELECT 1').query('SET search_path = s2').prepare('s2', 'SELECT 2');
  talk.attach(b);
  talk.query('BEGIN', 'CT');
  assert.deepEqual(talk.need(['s2']), ['C Ss2|', 'P s2|SELECT 2|||'], 'no more than that when it is the same');
  assert.deepEqual(talk.need(['s1']), [
    ...quietly('SAVEPOINT switchyard_prepare'),
    ...quietly('SET search_path = s1'),
    'C Ss1|',
    'P s1|SELECT 1|||',
    ...quietly('ROLLBACK TO switchyard_prepare'),
    ...quietly('RELEASE switchyard_prepare'),
    ...tidied,
  ]);
});

test('SET LOCAL counts among the circumstances of its transaction', () => {
  const { talk, b } = begin();
  talk.query('SET search_path = s1').prepare('s1', 'SELECT 1');
  talk.attach(b);
  talk.query('BEGIN', 'CT').query('SET LOCAL search_path = s2', 'CT');
  assert.ok(talk.need(['s1']).includes(`P ${OWN}|SET search_path = s1|||`));
});

test('in a transaction that has failed, statements are refused as if they were there', () => {
  const { talk, b } = begin();
  talk
    .prepare('r', 'ROLLBACK')
    .prepare('s1', 'SELECT $1, $12')
    .send(parse('SELECT $1', { name: 's2', types: [23, 25] }));
  talk.send(sync()).hear('1I');
  talk.attach(b);
  talk.query('BEGIN', 'CT').query('SELECT 1/0', 'EF');
  const types = (count: number): string => `|${String.fromCharCode(count)}${'|||\u0017'.repeat(count)}`;
  assert.deepEqual(talk.need(['r']), ['C Sr|', 'P r|ROLLBACK|||']);
  assert.deepEqual(talk.need(['s1', 's2']), ['C Ss1|', `P s1||${types(12)}`, 'C Ss2|', `P s2||${types(2)}`]);
  talk.run('r', 'CI');
  assert.deepEqual(talk.need(['s1']), ['C Ss1|', 'P s1|SELECT $1, $12|||'], 'and come in earnest behind it');
});

test('what could not be prepared is not tried again for the same unit, but for the next one', () => {
  const { talk, b } = begin();
  talk.prepare('s1', 'SELECT 1');
  talk.attach(b);
  assert.equal(talk.need(['s1'], [0]).length, 2);
  assert.ok(b.isKnown, 'nobody else misses it');
  assert.ok(!talk.state.needsPreparing({ names: ['s1'], used: [] }));
  talk.run('s1', 'EI');
  assert.equal(talk.need(['s1']).length, 2);
});

test('a backend that has refused what it must have is not known any more', () => {
  const { talk, b } = begin();
  talk.query('SET ROLE r1');
  talk.state.use(b);
  const replay = talk.state.replay({ statements: 'on_demand' });
  assert.ok(replay !== null && !b.isKnown, 'nor while that is on its way');
  talk.state.replayed(replay, new Set([0]));
  assert.ok(!b.isKnown);
});

test('a backend that is lost is not known any more, the other one is', () => {
  const { talk, a, b } = begin();
  talk.query('SET geqo = on');
  talk.attach(b);
  talk.query('BEGIN', 'CT').query('SET geqo = off', 'CT').send(query('SELECT 1'));
  talk.state.abandon(true);
  assert.ok(!b.isKnown && a.isKnown);
  assert.deepEqual(talk.attach(a), []);
  assert.deepEqual(talk.attach(new Applied()), ['Q SET geqo = on|']);
});

test('a unit that was refused has prepared on its backend what the session does not have', () => {
  const { talk, a, b } = begin();
  talk.prepare('s1', 'SELECT 1');
  talk.attach(b);
  talk.need(['s1']);
  const unit = [close('S', 's1'), parse('SELECT f()', { name: 's1' }), bind({ statement: 's1' }), execute(), sync()];
  talk.send(...unit).hear('31');
  talk.state.refused();
  assert.ok(b.isKnown);
  assert.deepEqual(talk.state.outstanding, []);
  assert.deepEqual(talk.need(['s1']), ['C Ss1|', 'P s1|SELECT 1|||'], 'for the session it is what it was');
  talk.attach(a);
  assert.deepEqual(talk.need(['s1']), []);
  talk.send(...unit).hear('31CI');
  talk.attach(b);
  assert.deepEqual(talk.need(['s1']), ['C Ss1|', 'P s1|SELECT f()|||']);
});

test('of several units that were refused nobody knows what they have done', () => {
  const { talk, b } = begin();
  talk.attach(b);
  talk.send(query('SELECT f()'), parse('SELECT 1', { name: 's1' }), sync());
  talk.state.refused();
  assert.ok(!b.isKnown);
  assert.deepEqual(talk.state.outstanding, []);
});

test('a backend does not hoard what the session has closed elsewhere', () => {
  const { talk, a, b } = begin(CLOSES_MAX * 2);
  const names = Array.from({ length: STALE_MAX + 1 }, (_, i) => `s${i}`);
  for (const name of names) talk.prepare(name, 'SELECT 1');
  talk.attach(b);
  talk.need('all');
  for (const name of names.slice(2)) talk.send(close('S', name), sync()).hear('3I');
  assert.deepEqual(talk.attach(a), [], 'some are left where they are');
  talk.attach(b);
  talk.query('DEALLOCATE s0');
  assert.equal(talk.attach(a).length, STALE_MAX, 'too many are not');
  assert.deepEqual([...a.names()], ['s1']);
  assert.deepEqual(talk.need('all'), []);
});

test('not all of a great many are closed at once', () => {
  const { talk, a, b } = begin(CLOSES_MAX * 2);
  for (let i = 0; i < CLOSES_MAX + 1; i += 1) talk.prepare(`s${i}`, 'SELECT 1');
  talk.attach(b);
  talk.query('DEALLOCATE ALL');
  assert.equal(talk.attach(a).length, CLOSES_MAX);
  assert.equal(talk.need('all').length, 1);
  assert.equal(a.size, 0);
});

test('a statement that could not be kept is only where it was prepared', () => {
  const { talk, a, b } = begin(1);
  talk.prepare('s1', 'SELECT 1').prepare('s2', 'SELECT 2');
  assert.ok(talk.state.canRunOn(b, ['s1', 'missing', '']));
  assert.ok(!talk.state.canRunOn(b, ['s1', 's2']));
  assert.ok(talk.state.canRunOn(a, ['s1', 's2']));
  talk.attach(b);
  assert.deepEqual(talk.need(['s2']), []);
  talk.query('DEALLOCATE s2');
  assert.ok(talk.state.canRunOn(b, ['s2']));
});

test('where a statement is of which not even the name is known, other names may be that', () => {
  const { talk, a, b } = begin();
  talk
    .sendUnread(parse('SELECT 1', { name: 'large' }))
    .send(sync())
    .hear('1I');
  assert.ok(talk.state.canRunOn(a, ['large']));
  assert.ok(!talk.state.canRunOn(b, ['large']));
});

test('a statement that is prepared again for its plan is not taken to be there', () => {
  const { talk } = begin();
  talk.prepare('s1', 'SELECT 1').send(bind({ statement: 's1' }), execute(), sync());
  assert.ok(talk.state.prepareAgain() !== null);
  talk.hear('EI');
  assert.ok(talk.state.needsPreparing({ names: ['s1'], used: [] }));
});

test('only the node where something is in doubt is asked', () => {
  const { talk, a, b } = begin();
  talk.query('SELECT pg_try_advisory_lock(1)');
  assert.equal(talk.state.pinnedTo, a);
  assert.ok(talk.state.isProvable);
  talk.attach(b);
  talk.query('SELECT 1');
  assert.equal(talk.state.pinnedTo, a);
  assert.ok(!talk.state.isProvable);
  talk.attach(a);
  assert.ok(talk.state.isProvable);
});

test('an inspection tells what one backend has, and nothing of what is only on the other', () => {
  const { talk, a, b } = begin();
  talk.prepare('s1', 'SELECT 1').prepare('s2', 'SELECT 2');
  talk.attach(b);
  talk.need(['s2']);
  talk.send(parse('SELECT 3', { name: 's3' }), sync()).hear('1I');
  talk.attach(a);
  talk.query('DEALLOCATE s2');
  talk.attach(b);
  talk.query('DO $$ BEGIN END $$');
  const rows = ['s2', 's4'].map((name) => ['prepared', Buffer.from(name).toString('hex'), null]);
  talk.state.inspected(readInspection(rows), 'UTF8');
  assert.deepEqual([...talk.state.prepared.names()], ['s1'], 's3 is gone there, and s1 was never there');
  assert.deepEqual(talk.pins, ['too_many_prepared s4'], 's2 is closed already');
});

test('what pins a session by its writes does not pin its reads', () => {
  const talk = new Talk();
  assert.equal(talk.state.pinsReadsToPrimary, null);
  talk
    .query('SELECT pg_advisory_lock(1)')
    .query('DECLARE c CURSOR WITH HOLD FOR SELECT 1')
    .query("SELECT currval('s')");
  assert.equal(talk.state.pinsReadsToPrimary, null);
  assert.notEqual(talk.state.pinReason, null);
  assert.equal(talk.query('CREATE TEMP TABLE t (a int)').state.pinsReadsToPrimary, 'temporary_object');
  for (const [sql, reason] of [
    ['UNHEARD OF', 'unknown_statement'],
    ["SELECT set_config('geqo', $1, false)", 'setting'],
    ["LOAD 'x'", 'loaded_library'],
    ['CALL f()', 'procedure'],
  ] as const) {
    assert.equal(new Talk().query(sql).state.pinsReadsToPrimary, reason);
  }
});

test('a setting is set for SHOW without touching the unnamed statement, and leaves its name', () => {
  const { talk } = begin();
  const replay = settingReplay('switchyard.fence', "it's");
  assert.deepEqual(
    textsOf(replay).filter((text) => text !== 'S'),
    [...quietly("SELECT pg_catalog.set_config('switchyard.fence', 'it''s', false)"), ...tidied],
  );
  assert.ok(talk.state.isCleanable);
  talk.state.replayed(replay, new Set());
  assert.ok(!talk.state.isCleanable);
});

test('replays are joined in order', () => {
  const { talk, b } = begin();
  talk.query('SET geqo = on').prepare('s1', 'SELECT 1');
  talk.state.use(b);
  const both = joinReplays([
    talk.state.replay({ statements: 'on_demand' }),
    null,
    talk.state.prepareFor({ names: ['s1'], used: [] }),
  ]);
  assert.deepEqual(textsOf(both), ['Q SET geqo = on|', 'C Ss1|', 'P s1|SELECT 1|||', 'S']);
  assert.ok(both !== null);
  talk.state.replayed(both, new Set());
  assert.ok(b.isKnown);
  assert.equal(joinReplays([null]), null);
});

test('the next backend may be in a transaction of a given kind', () => {
  const { talk, b } = begin();
  assert.deepEqual(talk.attach(b, { begin: 'BEGIN READ ONLY' }), ['Q BEGIN READ ONLY|']);
  assert.equal(talk.state.replay({ statements: 'on_demand' }), null);
});
