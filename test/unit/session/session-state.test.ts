import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SETTINGS_MAX } from '../../../src/session/session-state.js';
import { PinReason } from '../../../src/sql/pin-reason.js';
import { frontend, message } from '../../support/raw-messages.js';
import { Talk } from './conversation-state.js';

test('a session that has left nothing behind has nothing to replay and no pin', () => {
  const talk = new Talk().query('SELECT 1').execute('SELECT $1').query('');
  assert.equal(talk.state.replay(), null);
  assert.equal(talk.state.pinReason, null);
});

test('a setting is replayed once its statement has succeeded, and not before', () => {
  const talk = new Talk().send(frontend.query('SET search_path = a'));
  assert.deepEqual(talk.replayed, []);
  talk.hear('I');
  assert.deepEqual(talk.replayed, ['Q SET search_path = a|']);
  assert.deepEqual(talk.pins, []);
});

test('a setting of the extended protocol is replayed too', () => {
  const talk = new Talk().execute("SET app.user = 'ann'");
  talk.query('SELECT 1');
  assert.deepEqual(talk.replayed, ["Q SET app.user = 'ann'|"]);
});

test('a setting that fails is not replayed, and the value before it stays', () => {
  const talk = new Talk().query("SET work_mem = '1MB'").query('SET work_mem = x', 'EI');
  assert.deepEqual(talk.replayed, ["Q SET work_mem = '1MB'|"]);
});

test('the last value of a setting is replayed, in the order of the last changes', () => {
  const talk = new Talk().query('SET a.a = 1').query('SET a.b = 1').query('SET A.A = 2');
  assert.deepEqual(talk.replayed, ['Q SET a.b = 1|', 'Q SET A.A = 2|']);
});

test('settings that are reset are not replayed', () => {
  const talk = new Talk().query('SET a.a = 1').query('SET a.b = 1').query('SET a.c = 1').query('RESET a.b');
  assert.deepEqual(talk.replayed, ['Q SET a.a = 1|', 'Q SET a.c = 1|']);
  talk.query('RESET a.c', 'EI');
  assert.equal(talk.replayed.length, 2);
  talk.query('RESET ALL');
  assert.deepEqual(talk.replayed, []);
});

test('the bytes of a setting are replayed as they came, whatever the encoding', () => {
  const sql = Buffer.from("SET app.user = 'Jos\xe9'\0", 'latin1');
  const talk = new Talk();
  talk.send(message('Q', sql)).hear('I');
  assert.deepEqual(talk.state.replay()?.bytes, message('Q', sql));
});

test(`more than ${SETTINGS_MAX} settings pin the session`, () => {
  const talk = new Talk();
  for (let i = 0; i < SETTINGS_MAX; i += 1) talk.query(`SET a.s${i} = 1`);
  talk.query('SET a.s5 = 2');
  assert.deepEqual(talk.pins, []);
  talk.query('SET a.one_more = 1');
  assert.deepEqual(talk.pins, [PinReason.Setting]);
  assert.equal(talk.replayed.length, SETTINGS_MAX);
});

test('a setting inside a transaction pins, because it would be undone with it', () => {
  const talk = new Talk().query('BEGIN', 'T');
  talk.facts = { ...talk.facts, isInTransaction: true };
  talk.query('SET search_path = a', 'T');
  assert.deepEqual(talk.pins, [PinReason.Setting]);
  assert.deepEqual(talk.replayed, []);
});

test('a setting that was sent before it was known that a transaction is open pins', () => {
  const talk = new Talk()
    .send(frontend.query('BEGIN'), frontend.query('SET a.b = 1'), frontend.query('COMMIT'))
    .hear('TTI');
  assert.deepEqual(talk.pins, [PinReason.Setting]);
  assert.deepEqual(talk.replayed, []);
});

test('a setting in one batch with a ROLLBACK pins', () => {
  const batch = [frontend.parse('SET a.b = 1'), frontend.bind(), frontend.execute()];
  const rollback = [frontend.parse('ROLLBACK'), frontend.bind(), frontend.execute()];
  const talk = new Talk().send(...batch, ...rollback, frontend.sync()).hear('11I');
  assert.deepEqual(talk.pins, [PinReason.Setting]);
});

test('several settings in one batch are replayed when all of it has succeeded, and none when it has failed', () => {
  const batch = [
    ...[frontend.parse('SET a.a = 1'), frontend.bind(), frontend.execute()],
    ...[frontend.parse('SET a.b = 1'), frontend.bind(), frontend.execute()],
    frontend.sync(),
  ];
  assert.deepEqual(
    new Talk()
      .send(...batch)
      .hear('11I')
      .replayed.slice(0, 2),
    ['Q SET a.a = 1|', 'Q SET a.b = 1|'],
  );
  const failed = new Talk().send(...batch).hear('11EI');
  assert.deepEqual(
    failed.replayed.filter((text) => text.startsWith('Q')),
    [],
  );
  assert.deepEqual(failed.pins, []);
});

test('a named statement that sets something pins, because it can run at any time', () => {
  assert.deepEqual(new Talk().prepare('s1', 'SET a.b = 1').pins, [PinReason.Setting]);
  assert.deepEqual(new Talk().prepare('s1', 'RESET ALL').pins, [PinReason.Setting]);
  assert.deepEqual(new Talk().prepare('s1', 'DEALLOCATE ALL').pins, [PinReason.PreparedInSql]);
  assert.deepEqual(
    new Talk().prepare('s1', 'SET a.b = 1', '1EI').pins,
    [PinReason.Setting],
    'it was prepared all the same',
  );
});

test('pins begin when the statement is sent, and stay when it fails', () => {
  const talk = new Talk().send(frontend.query('CREATE TEMP TABLE t (a int)'));
  assert.equal(talk.state.pinReason, PinReason.TemporaryObject);
  talk.hear('EI');
  assert.deepEqual(talk.pins, [PinReason.TemporaryObject]);
});

test('a pin ends when what takes it back has succeeded, and not before', () => {
  const talk = new Talk().query('LISTEN x').send(frontend.query('UNLISTEN *'));
  assert.deepEqual(talk.pins, [PinReason.Listen]);
  talk.hear('EI');
  assert.deepEqual(talk.pins, [PinReason.Listen]);
  talk.query('UNLISTEN *', 'T');
  assert.deepEqual(talk.pins, [PinReason.Listen], 'it may be rolled back');
  talk.query('UNLISTEN *');
  assert.deepEqual(talk.pins, []);
});

test('a pin does not end when its reason has come about again meanwhile', () => {
  const talk = new Talk().query('LISTEN x').send(frontend.query('UNLISTEN *'), frontend.query('LISTEN y')).hear('II');
  assert.deepEqual(talk.pins, [PinReason.Listen]);
  assert.deepEqual(talk.query('UNLISTEN *; LISTEN z').pins, [PinReason.Listen]);
  assert.deepEqual(talk.query('UNLISTEN *').pins, []);
});

test('preparing a statement by name takes nothing back, because it does not run it', () => {
  const talk = new Talk().query('LISTEN x').prepare('s1', 'UNLISTEN *');
  assert.deepEqual(talk.pins, [PinReason.Listen]);
});

test('a reason that a named statement can bring about again ends only with all prepared statements', () => {
  const talk = new Talk().prepare('s1', 'SELECT pg_advisory_lock($1)').query('SELECT pg_advisory_unlock_all()');
  assert.deepEqual(talk.pins, [PinReason.AdvisoryLock]);
  talk.query('DEALLOCATE ALL').query('SELECT pg_advisory_unlock_all()');
  assert.deepEqual(talk.pins, []);
});

test('DISCARD ALL leaves nothing but what it does not reach', () => {
  const talk = new Talk()
    .query('CREATE TEMP TABLE t (a int)')
    .query('SELECT pg_advisory_lock(1)')
    .query('DECLARE c CURSOR WITH HOLD FOR SELECT 1')
    .query('LISTEN x')
    .query('SET ROLE other')
    .query('PREPARE p AS SELECT 1')
    .query('SELECT lastval()')
    .query('SET a.b = 1; SET a.c = 1')
    .query('SET search_path = a')
    .prepare('s1', 'SELECT pg_advisory_lock($1)');
  assert.equal(talk.pins.length, 8);
  talk.query('DISCARD ALL');
  assert.deepEqual(talk.pins, []);
  assert.deepEqual(talk.replayed, []);
  talk.query("LOAD 'x'").query('DISCARD ALL');
  assert.deepEqual(talk.pins, [PinReason.LoadedLibrary]);
});

test('a named statement that is on its way behind a DISCARD ALL keeps its pin', () => {
  const talk = new Talk()
    .send(frontend.query('DISCARD ALL'), frontend.parse('LISTEN x', { name: 's1' }), frontend.sync())
    .hear('I1I');
  assert.deepEqual(talk.pins, [PinReason.Listen]);
  assert.deepEqual(talk.query('UNLISTEN *').pins, [PinReason.Listen], 'it can listen again');
});

test('prepared statements are replayed, each with a Sync of its own, behind the settings', () => {
  const talk = new Talk().prepare('s1', 'SELECT 1').query('SET search_path = a').prepare('s2', 'SELECT 2');
  assert.deepEqual(talk.replayed, ['Q SET search_path = a|', 'P s1|SELECT 1|||', 'S', 'P s2|SELECT 2|||', 'S']);
});

test('DEALLOCATE takes statements back, in a transaction too', () => {
  const talk = new Talk().prepare('s1', 'SELECT 1').prepare('S2', 'SELECT 2').prepare('s3', 'SELECT 3');
  talk.query('DEALLOCATE S1', 'T');
  talk.query('DEALLOCATE "S2"');
  assert.deepEqual(talk.replayed, ['P s3|SELECT 3|||', 'S']);
  talk.query('DEALLOCATE ALL');
  assert.deepEqual(talk.replayed, []);
});

test('DEALLOCATE of a quoted all takes one statement back', () => {
  const talk = new Talk().prepare('all', 'SELECT 1').prepare('s1', 'SELECT 2').query('DEALLOCATE "all"');
  assert.deepEqual(talk.replayed, ['P s1|SELECT 2|||', 'S']);
});

test('a DEALLOCATE in a string that fails behind it pins, because it may have happened', () => {
  const talk = new Talk().prepare('s1', 'SELECT 1').query('DEALLOCATE s1; SELECT 1/0', 'EI');
  assert.deepEqual(talk.pins, [PinReason.PreparedInSql]);
  assert.deepEqual(new Talk().query('DEALLOCATE s1', 'EI').pins, [], 'there was none');
});

test('a statement too large to be read pins', () => {
  assert.deepEqual(new Talk().sendUnread(frontend.query('SELECT 1')).pins, [PinReason.StatementTooLarge]);
  const parsed = new Talk().sendUnread(frontend.parse('SELECT 1'));
  assert.deepEqual(parsed.pins, [PinReason.StatementTooLarge]);
  assert.ok(parsed.state.prepared.isOverflowing);
});

test('too many prepared statements pin until they are all gone', () => {
  const talk = new Talk(2).prepare('a', 'SELECT 1').prepare('b', 'SELECT 1').prepare('b2', 'SELECT 1');
  assert.equal(talk.state.pinReason, PinReason.TooManyPrepared);
  talk.query('DEALLOCATE ALL');
  assert.equal(talk.state.pinReason, null);
});

test('a FunctionCall pins, because the function is not looked at', () => {
  const talk = new Talk().send(message('F', Buffer.alloc(12)));
  assert.deepEqual(talk.pins, [PinReason.Procedure]);
});

test('text beyond ASCII in an encoding that cannot be inspected pins, plain text does not', () => {
  for (const clientEncoding of ['SJIS', 'BIG5', 'GBK', 'UHC', 'GB18030', 'JOHAB', 'SHIFT_JIS_2004']) {
    const talk = new Talk();
    talk.facts = { ...talk.facts, clientEncoding };
    assert.deepEqual(talk.query('SELECT 1').query('LISTEN x').query('UNLISTEN *').pins, []);
    assert.deepEqual(talk.query("SELECT 'é'").pins, [PinReason.ClientEncoding]);
  }
  const talk = new Talk();
  talk.facts = { ...talk.facts, clientEncoding: 'EUC_JP' };
  assert.deepEqual(talk.query("SELECT 'é'").pins, []);
});

test('a text whose reading depends on a setting that is on its way pins', () => {
  for (const change of ['SET standard_conforming_strings = off', "SET NAMES 'SJIS'"]) {
    const talk = new Talk().send(frontend.query(change), frontend.query("SELECT 'plain'"));
    assert.equal(talk.pins.length, 0);
    talk.send(frontend.query("SELECT '\\'; LISTEN x; --'"));
    assert.ok(talk.pins.includes(PinReason.UnknownStatement), change);
    const waited = new Talk().query(change).query("SELECT '\\\\'");
    assert.deepEqual(waited.pins, [], 'with the answer there is no doubt');
  }
});

test('a change of the encoding pins when what is to be replayed would then be read in another way', () => {
  const names = "SET client_encoding = 'LATIN1'";
  assert.deepEqual(new Talk().query("SET app.user = 'ann'").prepare('s', 'SELECT 1').query(names).pins, []);
  assert.deepEqual(new Talk().query("SET app.user = 'josé'").query(names).pins, [PinReason.Setting]);
  assert.deepEqual(new Talk().prepare('s', "SELECT 'josé'").query(names).pins, [PinReason.Setting]);
  assert.deepEqual(new Talk().prepare('s', "SELECT '\\'").query('SET standard_conforming_strings = off').pins, [
    PinReason.Setting,
  ]);
  assert.deepEqual(new Talk().query(names).prepare('s', "SELECT 'josé'").query('RESET ALL').pins, [PinReason.Setting]);
  assert.deepEqual(new Talk().query(names).prepare('s', "SELECT 'josé'").query('DISCARD ALL').pins, []);
  assert.deepEqual(
    new Talk().prepare('s', "SELECT '\\d josé'").query('RESET ALL').pins,
    [],
    'there is nothing to reset',
  );
});

test('knows whether something on its way begins a transaction', () => {
  const talk = new Talk().send(frontend.query('SELECT 1'));
  assert.ok(!talk.state.mayBeginTransaction);
  talk.send(frontend.parse('BEGIN'), frontend.bind(), frontend.execute());
  assert.ok(talk.state.mayBeginTransaction);
  talk.send(frontend.sync()).hear('I');
  assert.ok(talk.state.mayBeginTransaction);
  talk.hear('1T');
  assert.ok(!talk.state.mayBeginTransaction);
});

test('the effects of pipelined units belong to their own answers', () => {
  const talk = new Talk()
    .send(frontend.query('SET a.a = 1'), frontend.query('SET a.b = x'), frontend.query('SET a.c = 1'))
    .hear('I');
  assert.deepEqual(talk.replayed, ['Q SET a.a = 1|']);
  talk.hear('EI');
  assert.deepEqual(talk.replayed, ['Q SET a.a = 1|']);
  talk.hear('I');
  assert.deepEqual(talk.replayed, ['Q SET a.a = 1|', 'Q SET a.c = 1|']);
});

test('a Sync that a COPY has ignored leaves nothing that would spoil the answers of later units', () => {
  const talk = new Talk().send(
    frontend.parse('COPY t FROM STDIN'),
    frontend.bind(),
    frontend.execute(),
    frontend.sync(),
  );
  talk.hear('1').send(frontend.copyDone(), frontend.sync()).hear('I');
  talk.state.settle();
  talk.query('SET a.b = x', 'EI').query('SET a.c = 1').prepare('s1', 'SELECT 1');
  assert.deepEqual(
    talk.replayed.filter((text) => text.startsWith('Q')),
    ['Q SET a.c = 1|'],
  );
  assert.ok(talk.replayed.includes('P s1|SELECT 1|||'));
});

test('what was under way when the backend was lost has not happened', () => {
  const talk = new Talk().query('SET a.a = 1').prepare('s1', 'SELECT 1');
  talk.send(frontend.query('SET a.b = 1'), frontend.parse('SELECT 2', { name: 's2' }), frontend.sync());
  talk.state.abandon();
  assert.ok(!talk.state.mayBeginTransaction);
  assert.deepEqual(talk.replayed, ['Q SET a.a = 1|', 'P s1|SELECT 1|||', 'S']);
  talk.query('SET a.c = 1').prepare('s3', 'SELECT 3');
  assert.deepEqual(talk.replayed.slice(1), ['Q SET a.c = 1|', 'P s1|SELECT 1|||', 'S', 'P s3|SELECT 3|||', 'S']);
});

test('a pin set from outside stays', () => {
  const talk = new Talk();
  talk.state.pin(PinReason.Replication);
  assert.deepEqual(talk.query('DISCARD ALL').pins, [PinReason.Replication]);
});

test('a message that is not whole is no reason to fall over', () => {
  const talk = new Talk();
  talk.send(message('Q'), message('P', Buffer.from('no end')), message('C'), message('S')).hear('EIEI');
  assert.ok(talk.state.prepared.isOverflowing, 'nobody knows what was prepared');
});
