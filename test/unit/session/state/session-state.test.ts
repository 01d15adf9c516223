import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnIdentities } from '../../../../src/session/state/identities.js';
import { SETTINGS_MAX } from '../../../../src/session/state/leftovers.js';
import { PinReason } from '../../../../src/sql/pin-reason.js';
import { frontend, message } from '../../../support/raw-messages.js';
import { Talk } from './conversation-state.js';

const { query, parse, bind, execute, close, sync } = frontend;

test('a session that has left nothing behind has nothing to replay and no pin', () => {
  const talk = new Talk().query('SELECT 1').execute('SELECT $1').query('', '0I');
  assert.equal(talk.state.replay(), null);
  assert.equal(talk.state.pinReason, null);
});

test('a setting is replayed once its statement has ended well, and not before', () => {
  const talk = new Talk().send(query('SET search_path = a'));
  assert.deepEqual(talk.replayed, []);
  talk.hear('CI');
  assert.deepEqual(talk.replayed, ['Q SET search_path = a|']);
  assert.deepEqual(talk.pins, []);
});

test('a setting of the extended protocol is replayed too', () => {
  const talk = new Talk().execute("SET app.tenant = 'ann'").query('SELECT 1');
  assert.deepEqual(talk.replayed, ["Q SET app.tenant = 'ann'|"]);
});

test('a setting that fails is not replayed, and the value before it stays', () => {
  const talk = new Talk().query("SET work_mem = '1MB'").query('SET work_mem = x', 'EI');
  assert.deepEqual(talk.replayed, ["Q SET work_mem = '1MB'|"]);
});

test('settings are replayed with their last value, in the order of the last changes', () => {
  const talk = new Talk().query('SET work_mem = 64').query('SET geqo = on').query('SET WORK_MEM = 65');
  assert.deepEqual(talk.replayed, ['Q SET geqo = on|', 'Q SET WORK_MEM = 65|']);
  assert.deepEqual(talk.parts, ['setting geqo', 'setting work_mem']);
});

test('settings that are reset are not replayed', () => {
  const talk = new Talk().query('SET work_mem = 64').query('SET geqo = on').query('SET jit = on').query('RESET geqo');
  assert.deepEqual(talk.replayed, ['Q SET work_mem = 64|', 'Q SET jit = on|']);
  assert.equal(talk.query('RESET jit', 'EI').replayed.length, 2);
  assert.deepEqual(talk.query('RESET ALL').replayed, []);
});

test('a setting with a made-up name exists from its first mention on, also when that was undone', () => {
  const talk = new Talk().query('SET app.a = 1').query('RESET app.a');
  assert.deepEqual(talk.replayed, ['Q RESET "app"."a"|']);
  assert.deepEqual(talk.parts, ['trace app.a']);
  assert.equal(talk.state.isCleanable, false);
  assert.deepEqual(new Talk().query('BEGIN; SET LOCAL app.b = 1; ROLLBACK', 'CCCI').replayed, ['Q RESET "app"."b"|']);
});

test('the bytes of a setting are replayed as they came, and read as they were then', () => {
  const talk = new Talk();
  talk.facts = { clientEncoding: 'LATIN1', escapesInStrings: false };
  talk.send(message('Q', Buffer.from("SET app.a = 'Jos\xe9'\0", 'latin1'))).hear('CI');
  assert.deepEqual(talk.replayed, [
    "Q SET client_encoding TO 'LATIN1'|",
    'Q SET standard_conforming_strings TO on|',
    "Q SET app.a = 'Jos\xe9'|",
    'Q RESET client_encoding|',
    'Q RESET standard_conforming_strings|',
  ]);
});

test('the encoding of the session comes last, whatever was written under another one', () => {
  const talk = new Talk().query("SET client_encoding = 'LATIN1'");
  talk.facts = { clientEncoding: 'LATIN1', escapesInStrings: false };
  talk.prepare('s1', "SELECT 'é'").query("SET client_encoding = 'UTF8'");
  assert.deepEqual(
    talk.replayed.map((text) => text.slice(0, 30)),
    [
      "Q SET client_encoding TO 'LATI",
      'Q SET standard_conforming_stri',
      "P s1|SELECT 'Ã©'|||",
      "Q SET client_encoding = 'UTF8'",
      'Q RESET standard_conforming_st',
    ],
  );
});

test('both halves of datestyle are replayed', () => {
  const talk = new Talk().query("SET datestyle = 'German'").query("SET datestyle = 'YMD'");
  assert.deepEqual(talk.replayed, ["Q SET datestyle = 'German'; SET datestyle = 'YMD'|"]);
  assert.deepEqual(talk.query("SET datestyle = 'ISO, DMY'").replayed, ["Q SET datestyle = 'ISO, DMY'|"]);
  for (let i = 0; i < 4; i += 1) talk.query("SET datestyle = 'YMD'");
  assert.deepEqual(talk.pins, ['setting datestyle'], 'the node can tell');
});

test('a setting is replayed as the user who has set it, and the session is itself again in the end', () => {
  const talk = new Talk()
    .query('SET work_mem = 64')
    .query('SET ROLE boss')
    .query('SET log_statement = 1')
    .query('RESET ROLE')
    .query('SET geqo = on');
  assert.deepEqual(talk.replayed, [
    'Q SET work_mem = 64|',
    'Q SET ROLE boss|',
    'Q SET log_statement = 1|',
    'Q RESET role|',
    'Q SET geqo = on|',
  ]);
  assert.deepEqual(talk.pins, []);
});

test('another session user begins without a role, and ends without one', () => {
  const talk = new Talk().query('SET ROLE a').query('SET SESSION AUTHORIZATION b');
  assert.deepEqual(talk.replayed, ['Q SET SESSION AUTHORIZATION b|']);
  talk.query('SET ROLE c');
  assert.deepEqual(talk.replayed, ['Q SET SESSION AUTHORIZATION b|', 'Q SET ROLE c|']);
  assert.deepEqual(talk.query('SET SESSION AUTHORIZATION DEFAULT').replayed, []);
  talk.query('SET ROLE a').query('RESET ALL');
  assert.deepEqual(talk.replayed, ['Q SET ROLE a|'], 'RESET ALL leaves the user');
});

test('a statement is prepared again with the search path that it was prepared with', () => {
  const talk = new Talk().query('SET search_path = a').prepare('s1', 'SELECT 1').query('SET search_path = b');
  talk.query('PREPARE p AS SELECT 2');
  assert.deepEqual(talk.replayed, [
    'Q SET search_path = a|',
    'P s1|SELECT 1|||',
    'Q SET search_path = b|',
    'Q PREPARE p AS SELECT 2|',
  ]);
  const local = new Talk().query('BEGIN', 'CT').query('SET LOCAL search_path = a', 'CT');
  local.prepare('s1', 'SELECT 1', '1T').query('COMMIT');
  assert.deepEqual(local.replayed, ['Q SET search_path = a|', 'P s1|SELECT 1|||', 'Q RESET search_path|']);
});

test('what could hinder the rest of the replay comes last', () => {
  const talk = new Talk().query('SET statement_timeout = 1').query('SET geqo = on').prepare('s1', 'SELECT 1');
  assert.deepEqual(talk.replayed, ['Q SET geqo = on|', 'P s1|SELECT 1|||', 'Q SET statement_timeout = 1|']);
});

test(`more than ${SETTINGS_MAX} settings pin the session`, () => {
  const talk = new Talk();
  for (let i = 0; i < SETTINGS_MAX; i += 1) talk.query(`SET a.s${i} = 1`);
  talk.query('SET a.s5 = 2');
  assert.deepEqual(talk.pins, []);
  talk.query('SET a.one_more = 1');
  assert.deepEqual(talk.pins, ['setting a.one_more']);
  assert.equal(talk.replayed.length, SETTINGS_MAX);
});

test('a setting of a transaction lasts with its commit, and is undone with its rollback', () => {
  const talk = new Talk().query('SET geqo = on').query('BEGIN', 'CT').query('SET geqo = off', 'CT');
  assert.deepEqual(talk.query('ROLLBACK').replayed, ['Q SET geqo = on|']);
  talk.query('BEGIN', 'CT').query('SET geqo = off', 'CT').query('COMMIT');
  assert.deepEqual(talk.replayed, ['Q SET geqo = off|']);
  talk.query('BEGIN', 'CT').query('RESET ALL', 'CT').query('SELECT 1/0', 'EF').query('COMMIT', 'RI');
  assert.deepEqual(talk.replayed, ['Q SET geqo = off|'], 'a COMMIT that rolled back');
});

test('a chained transaction is another one', () => {
  const talk = new Talk().query('BEGIN', 'CT').query('SET geqo = on', 'CT').query('COMMIT AND CHAIN', 'CT');
  talk.query('SET jit = on', 'CT').query('ROLLBACK AND CHAIN', 'CT').query('SET geqo = off', 'CT');
  assert.deepEqual(talk.query('ROLLBACK').replayed, ['Q SET geqo = on|']);
});

test('savepoints are snapshots', () => {
  const talk = new Talk().query('BEGIN', 'CT').query('SET work_mem = 64', 'CT').query('SAVEPOINT s', 'CT');
  talk.query('SET work_mem = 65', 'CT').query('SAVEPOINT s', 'CT').query('SET work_mem = 66', 'CT');
  assert.deepEqual(talk.query('ROLLBACK TO s', 'CT').replayed, ['Q SET work_mem = 65|']);
  talk.query('SET jit = on', 'CT').query('RELEASE s', 'CT').query('ROLLBACK TO s', 'CT');
  assert.deepEqual(talk.replayed, ['Q SET work_mem = 64|'], 'the outer one');
  talk.query('SELECT 1/0', 'EF').query('ROLLBACK TO s', 'CT');
  assert.deepEqual(talk.query('COMMIT').replayed, ['Q SET work_mem = 64|']);
});

test('SET LOCAL leaves nothing', () => {
  const talk = new Talk().query('BEGIN', 'CT').query('SET LOCAL work_mem = 64', 'CT').query('COMMIT');
  assert.deepEqual(talk.replayed, []);
  assert.deepEqual(talk.pins, []);
});

test('a string of several statements is one transaction, if it says nothing else', () => {
  assert.deepEqual(new Talk().query('SET geqo = on; SELECT 1', 'CCI').replayed, ['Q SET geqo = on|']);
  assert.deepEqual(new Talk().query('SET geqo = on; SELECT 1/0', 'CEI').replayed, []);
  assert.deepEqual(new Talk().query('SET geqo = on; COMMIT; SET jit = on; SELECT 1/0', 'CCCEI').replayed, [
    'Q SET geqo = on|',
  ]);
  assert.deepEqual(new Talk().query('SET geqo = on; BEGIN; SET jit = on; ROLLBACK', 'CCCCI').replayed, []);
});

test('a batch up to Sync is one transaction', () => {
  const batch = (...texts: readonly string[]): Buffer[] => [
    ...texts.flatMap((text) => [parse(text), bind(), execute()]),
    sync(),
  ];
  const talk = new Talk().send(...batch('SET geqo = on', 'SET jit = on')).hear('1C1CI');
  assert.deepEqual(talk.replayed.slice(0, 2), ['Q SET geqo = on|', 'Q SET jit = on|']);
  assert.deepEqual(
    new Talk()
      .send(...batch('SET geqo = on', 'SELECT 1/0', 'SET jit = on'))
      .hear('1C1EI')
      .replayed.filter((text) => text.startsWith('Q')),
    [],
  );
  const rolledBack = new Talk().send(...batch('SET geqo = on', 'ROLLBACK')).hear('1C1CI');
  assert.deepEqual(
    rolledBack.replayed.filter((text) => text.startsWith('Q')),
    [],
  );
});

test('what is only prepared has not run', () => {
  const talk = new Talk().prepare('s1', 'SET geqo = on').prepare('s2', 'LISTEN x').prepare('s3', 'CALL f()');
  talk.send(parse('CREATE TEMP TABLE t (a int)'), sync()).hear('1I');
  assert.deepEqual(talk.pins, []);
  assert.deepEqual(
    talk.replayed.map((text) => text.slice(0, 4)),
    ['P s1', 'P s2', 'P s3', 'P |C'],
  );
});

test('a named statement has its effects each time it runs, through whatever portal', () => {
  const talk = new Talk().prepare('s1', 'SET geqo = on').prepare('s2', 'SELECT pg_advisory_lock(1)');
  assert.equal(talk.run('s1').replayed[0], 'Q SET geqo = on|');
  talk.query('SELECT pg_advisory_unlock_all()').query('RESET geqo');
  talk
    .send(bind({ statement: 's2', portal: 'p' }), bind({ statement: 's1' }), execute('p', 1), execute(), sync())
    .hear('sCI');
  assert.deepEqual(talk.pins, [PinReason.AdvisoryLock]);
  assert.equal(talk.replayed[0], 'Q SET geqo = on|');
});

test('a portal of an earlier unit runs what it was bound to', () => {
  const talk = new Talk().query('BEGIN', 'CT').prepare('s1', 'SET geqo = on', '1T');
  talk
    .send(bind({ statement: 's1', portal: 'p' }), sync())
    .hear('T')
    .send(close('S', 's1'), sync())
    .hear('3T');
  talk.send(execute('p'), sync()).hear('CT').query('COMMIT');
  assert.deepEqual(talk.replayed, ['Q SET geqo = on|']);
});

test('PREPARE is replayed, whatever becomes of its transaction, and EXECUTE has the effects of what was prepared', () => {
  const talk = new Talk()
    .query('BEGIN', 'CT')
    .query('PREPARE p (int) AS SELECT pg_advisory_lock($1)', 'CT')
    .query('ROLLBACK');
  assert.deepEqual(talk.replayed, ['Q PREPARE p (int) AS SELECT pg_advisory_lock($1)|']);
  assert.deepEqual(talk.parts, ['prepare p']);
  assert.deepEqual(talk.pins, []);
  assert.deepEqual(talk.query('EXECUTE p (1)').pins, [PinReason.AdvisoryLock]);
  talk.query('SELECT pg_advisory_unlock_all()');
  assert.deepEqual(talk.run('p').pins, [PinReason.AdvisoryLock], 'also through the protocol');
  assert.deepEqual(talk.query('DEALLOCATE p').replayed, []);
});

test('statements that execute each other are followed, but not without end', () => {
  const talk = new Talk()
    .query('PREPARE p AS SELECT pg_advisory_lock(1)')
    .prepare('a', 'EXECUTE p')
    .prepare('b', 'EXECUTE a');
  assert.deepEqual(talk.run('b').pins, [PinReason.AdvisoryLock]);
  const endless = new Talk().prepare('a', 'EXECUTE a');
  assert.deepEqual(endless.run('a', 'EI').pins, []);
  assert.deepEqual(endless.run('a').pins, [PinReason.UnknownStatement], 'no node would say so');
});

test('SQL runs and forgets what the protocol has prepared', () => {
  const talk = new Talk().prepare('s1', 'SELECT pg_advisory_lock(1)').query('EXECUTE s1');
  assert.deepEqual(talk.pins, [PinReason.AdvisoryLock]);
  assert.deepEqual(talk.query('DEALLOCATE s1', 'CT').replayed, []);
});

test('a statement that was prepared out of sight leaves nobody knows what', () => {
  assert.deepEqual(new Talk().query('EXECUTE hidden').pins, [PinReason.UnknownStatement]);
  assert.deepEqual(new Talk().run('hidden').pins, [PinReason.UnknownStatement]);
});

test('DEALLOCATE counts though a later statement of its string fails', () => {
  const talk = new Talk().prepare('s1', 'SELECT 1').prepare('s2', 'SELECT 2').query('DEALLOCATE s1; SELECT 1/0', 'CEI');
  assert.deepEqual(talk.replayed, ['P s2|SELECT 2|||']);
  assert.deepEqual(talk.query('DEALLOCATE s2', 'EI').replayed, ['P s2|SELECT 2|||']);
});

test('channels are listened to again, and no pin', () => {
  const talk = new Talk().query('LISTEN news').query('LISTEN "Old News"');
  assert.deepEqual(talk.replayed, ['Q LISTEN "news"|', 'Q LISTEN "Old News"|']);
  assert.deepEqual(talk.parts, ['listen news', 'listen Old News']);
  assert.ok(talk.state.isListening);
  assert.deepEqual(talk.pins, []);
  talk.query('UNLISTEN news');
  assert.deepEqual(talk.replayed, ['Q LISTEN "Old News"|']);
  talk.query('BEGIN', 'CT').query('UNLISTEN *', 'CT').query('ROLLBACK');
  assert.ok(talk.state.isListening);
  assert.ok(!talk.query('UNLISTEN *').state.isListening);
});

test('temporary objects pin by name until each of them is gone', () => {
  const talk = new Talk().query('CREATE TEMP TABLE a (i int)').query('CREATE TEMP TABLE b (i int)');
  assert.deepEqual(talk.pins, ['temporary_object a', 'temporary_object b']);
  assert.deepEqual(talk.query('DROP TABLE a').pins, ['temporary_object b']);
  talk.query('BEGIN', 'CT').query('DROP TABLE b', 'CT');
  assert.deepEqual(talk.query('ROLLBACK').pins, ['temporary_object b']);
  assert.deepEqual(talk.query('DISCARD TEMP').pins, []);
  talk.query('BEGIN', 'CT').query('CREATE TEMP TABLE c (i int)', 'CT');
  assert.equal(talk.state.pinReason, PinReason.TemporaryObject);
  assert.deepEqual(talk.query('ROLLBACK').pins, []);
});

test('an object that may be there twice stays until the node tells', () => {
  const talk = new Talk()
    .query('CREATE TEMP TABLE IF NOT EXISTS a (i int)')
    .query('CREATE TEMP TABLE IF NOT EXISTS a (i int)');
  assert.deepEqual(talk.query('DROP TABLE a').pins, ['temporary_object a']);
});

test('cursors WITH HOLD pin by name; a CLOSE is not undone', () => {
  const talk = new Talk()
    .query('DECLARE c CURSOR WITH HOLD FOR SELECT 1')
    .query('DECLARE d CURSOR WITH HOLD FOR SELECT 1');
  talk.query('BEGIN', 'CT').query('CLOSE c', 'CT').query('ROLLBACK');
  assert.deepEqual(talk.pins, ['cursor_with_hold d']);
  assert.deepEqual(talk.query('CLOSE ALL').pins, []);
  talk.query('BEGIN', 'CT').query('DECLARE e CURSOR WITH HOLD FOR SELECT 1', 'CT').query('ROLLBACK');
  assert.deepEqual(talk.pins, []);
});

test('advisory locks stay with a rollback, and may be held though their statement has failed', () => {
  const talk = new Talk().query('BEGIN', 'CT').query('SELECT pg_advisory_lock(1)', 'CT').query('ROLLBACK');
  assert.deepEqual(talk.pins, [PinReason.AdvisoryLock]);
  assert.deepEqual(talk.query('SELECT pg_advisory_unlock_all()').pins, []);
  assert.deepEqual(talk.query('SELECT pg_advisory_lock(1), 1/0', 'EI').pins, [PinReason.AdvisoryLock]);
});

test('what has failed leaves nothing else', () => {
  const talk = new Talk()
    .query('selec 1', 'EI')
    .query('CREATE TEMP TABLE t (a int)', 'EI')
    .query('SELECT lastval()', 'EI');
  assert.deepEqual(talk.pins, []);
  assert.deepEqual(
    talk.query('DO $$ BEGIN COMMIT; RAISE 1; END $$', 'EI').pins,
    [PinReason.Procedure],
    'it may have committed',
  );
});

test('what cannot be read pins from its first sign of life on', () => {
  const talk = new Talk().sendUnread(query('SELECT 1'));
  assert.deepEqual(talk.pins, []);
  assert.deepEqual(talk.hear('CI').pins, [PinReason.StatementTooLarge]);
  assert.deepEqual(new Talk().query('CREATE UNHEARD OF').pins, [PinReason.UnknownStatement]);
  assert.deepEqual(new Talk().send(message('F', Buffer.alloc(12))).hear('I').pins, [PinReason.Procedure]);
});

test('a Bind too large to be read pins only where some statement has effects', () => {
  const talk = new Talk().prepare('s1', 'INSERT INTO t VALUES ($1)');
  talk
    .sendUnread(bind({ statement: 's1' }))
    .send(execute(), sync())
    .hear('CI');
  assert.deepEqual(talk.pins, []);
  talk
    .prepare('s2', 'SET geqo = on')
    .sendUnread(bind({ statement: 's1' }))
    .send(execute(), sync())
    .hear('CI');
  assert.deepEqual(talk.pins, [PinReason.StatementTooLarge]);
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
    .query('DO $$ BEGIN END $$')
    .query('SET search_path = a');
  assert.equal(talk.pins.length, 5);
  talk.query('DISCARD ALL');
  assert.deepEqual(talk.pins, [PinReason.Procedure], 'the node can tell whether it has made up a setting');
  assert.equal(talk.state.isAskedAtOnce, true);
  assert.deepEqual(talk.replayed, []);
  talk.query("LOAD 'x'").query("SELECT dblink_connect('x')").query('DISCARD ALL');
  assert.deepEqual(talk.pins, [PinReason.Procedure, PinReason.LoadedLibrary, PinReason.ForeignSession]);
  talk.query('DO $$ BEGIN END $$');
  assert.equal(talk.state.isAskedAtOnce, false);
});

test('a pin tells since when it is there', () => {
  const talk = new Talk().query('CREATE TEMP TABLE t (a int)');
  const sinceMs = talk.clock.nowMs();
  talk.clock.advance(1000);
  talk.query('CREATE TEMP TABLE IF NOT EXISTS t (a int)');
  assert.deepEqual(talk.state.pins, [{ reason: 'temporary_object', name: 't', sinceMs, count: 2 }]);
});

test('text beyond ASCII in an encoding that cannot be inspected pins, plain text does not', () => {
  const talk = new Talk();
  talk.facts = { ...talk.facts, clientEncoding: 'SJIS' };
  assert.deepEqual(talk.query('SELECT 1').query('SET geqo = on').pins, []);
  assert.deepEqual(talk.query("SELECT 'é'").pins, [PinReason.ClientEncoding]);
});

test('a text whose reading depends on a setting that is on its way pins', () => {
  for (const change of ['SET standard_conforming_strings = off', "SET NAMES 'SJIS'", 'DISCARD ALL']) {
    const talk = new Talk().send(query(change), query("SELECT 'plain'")).hear('CICI');
    assert.deepEqual(talk.pins, [], change);
    talk.send(query(change), query("SELECT '\\'; LISTEN x; --'")).hear('CICI');
    assert.deepEqual(talk.pins, [PinReason.UnknownStatement], change);
    const waited = new Talk().query(change).query("SELECT '\\\\'");
    assert.deepEqual(waited.pins, [], 'with the answer there is no doubt');
  }
  const rollback = new Talk().query('BEGIN', 'CT').query('SET standard_conforming_strings = off', 'CT');
  assert.deepEqual(rollback.send(query('ROLLBACK'), query("SELECT '\\'")).hear('CICI').pins, [
    PinReason.UnknownStatement,
  ]);
});

test('the effects of pipelined units belong to their own answers', () => {
  const talk = new Talk().send(query('SET geqo = on'), query('SET jit = x'), query('SET work_mem = 64')).hear('CI');
  assert.deepEqual(talk.replayed, ['Q SET geqo = on|']);
  assert.deepEqual(talk.hear('EI').replayed, ['Q SET geqo = on|']);
  assert.deepEqual(talk.hear('CI').replayed, ['Q SET geqo = on|', 'Q SET work_mem = 64|']);
});

test('a Parse that fails, because there is such a statement, does not change what is run', () => {
  const talk = new Talk().prepare('s1', 'SET geqo = on');
  talk.send(parse('SELECT 1', { name: 's1' }), sync(), bind({ statement: 's1' }), execute(), sync()).hear('EICI');
  assert.equal(talk.replayed[0], 'Q SET geqo = on|');
});

test('a Sync that a COPY has ignored leaves nothing that would spoil the answers of later units', () => {
  const talk = new Talk().send(parse('COPY t FROM STDIN'), bind(), execute(), sync());
  talk.hear('1').send(frontend.copyDone(), sync()).hear('CI');
  talk.state.settle();
  talk.query('SET geqo = x', 'EI').query('SET jit = on').prepare('s1', 'SELECT 1');
  assert.deepEqual(talk.replayed, ['Q SET jit = on|', 'P s1|SELECT 1|||']);
});

test('what was under way when the backend was lost has not happened, what was said stays said', () => {
  const talk = new Talk()
    .query('SET geqo = on')
    .prepare('s1', 'SELECT 1')
    .query('BEGIN', 'CT')
    .query('SET jit = on', 'CT');
  talk.query('CREATE TEMP TABLE t (a int)', 'CT');
  talk.send(query('SET work_mem = 64'), parse('SELECT 2', { name: 's2' }), sync()).hear('C');
  talk.state.abandon(false);
  assert.deepEqual(talk.state.outstanding, []);
  assert.deepEqual(talk.pins, []);
  assert.deepEqual(talk.replayed, ['Q SET geqo = on|', 'P s1|SELECT 1|||']);
  talk.query('SET work_mem = 65').prepare('s3', 'SELECT 3');
  assert.deepEqual(talk.replayed.slice(1), ['Q SET work_mem = 65|', 'P s1|SELECT 1|||', 'P s3|SELECT 3|||']);
});

test('what a unit has prepared that is sent again will be prepared again, and what it has taken away is there', () => {
  const talk = new Talk()
    .prepare('s1', 'SELECT 1')
    .send(close('S', 's1'), parse('SELECT 2', { name: 's2' }), bind(), execute(), sync());
  talk.hear('31');
  assert.deepEqual(talk.replayed, ['P s2|SELECT 2|||']);
  talk.state.abandon(true);
  assert.deepEqual(talk.replayed, ['P s1|SELECT 1|||']);
  const said = new Talk().send(parse('SELECT 2', { name: 's2' }), sync()).hear('1');
  said.state.abandon(false);
  assert.deepEqual(said.replayed, ['P s2|SELECT 2|||'], 'the client knows of it');
});

test('a replay that goes on with a lost transaction begins one in the end', () => {
  const talk = new Talk().query('SET geqo = on').send(parse('SELECT 1'), sync()).hear('1I');
  assert.deepEqual(
    talk.state.replay({ begin: 'BEGIN' })?.parts.map(({ kind, name }) => [kind, name]),
    [
      ['setting', 'geqo'],
      ['begin', ''],
      ['parse', ''],
    ],
  );
});

test('a statement whose plan does not fit any more is prepared again under its name', () => {
  const talk = new Talk()
    .prepare('s1', 'SELECT 1')
    .query('PREPARE p AS SELECT 2')
    .send(bind({ statement: 's1' }), execute(), sync());
  assert.deepEqual(
    talk.state.prepareAgain()?.bytes,
    Buffer.concat([close('S', 's1'), parse('SELECT 1', { name: 's1' }), sync()]),
  );
  talk.hear('EI').send(query('EXECUTE p'));
  assert.equal(talk.state.prepareAgain(), null, 'EXECUTE fails as it would without a proxy');
  talk.hear('EI').send(bind(), execute(), sync());
  assert.equal(talk.state.prepareAgain(), null, 'the unnamed statement is not kept for that');
});

test('a pin set from outside stays', () => {
  const talk = new Talk();
  talk.state.pin(PinReason.Replication);
  talk.state.abandon(true);
  assert.deepEqual(talk.query('DISCARD ALL').query('ROLLBACK').pins, [PinReason.Replication]);
});

test('a message that is not whole is no reason to fall over', () => {
  const talk = new Talk();
  talk.send(message('Q'), message('P', Buffer.from('no end')), message('B'), message('E'), message('C'), message('S'));
  talk.hear('EIEI');
  assert.deepEqual(talk.pins, []);
});

test('names in different encodings are not told apart, and the node is asked', () => {
  const talk = new Talk().query('LISTEN "é"').query('LISTEN x').query('UNLISTEN x');
  assert.deepEqual(talk.pins, []);
  talk.facts = { clientEncoding: 'LATIN1', escapesInStrings: false };
  assert.deepEqual(talk.query('UNLISTEN "é"').pins, ['client_encoding']);
  const other = new Talk().query('PREPARE "é" AS SELECT 1');
  other.facts = { clientEncoding: 'LATIN1', escapesInStrings: false };
  assert.deepEqual(other.query('PREPARE "é" AS SELECT 2').pins, ['client_encoding']);
});

test('what functions may have left pins a session that shares its backends, until the backend is gone', () => {
  const suspicious = { identities: new OwnIdentities(), trust: { isTrusted: () => false, judged: () => {} } };
  const talk = new Talk(10, new Map(), suspicious).query('BEGIN', 'CT').query('SELECT f()', 'CT');
  assert.deepEqual(talk.pins, [PinReason.CalledFunction]);
  talk.send(query('SELECT g()'));
  talk.state.abandon(true);
  assert.deepEqual(talk.pins, []);
  assert.equal(talk.state.pinReason, null);
  talk.query('DO $$ $$').query('SELECT f()');
  talk.state.abandon(true);
  assert.deepEqual(talk.pins, [PinReason.Procedure], 'what it was told to do it may have done');
});
