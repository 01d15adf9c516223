import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NOT_READ } from '../../../../src/protocol/frame-scanner.js';
import { frontend, message } from '../../../support/raw-messages.js';
import { SessionState } from '../../../../src/session/state/session-state.js';
import type { SqlAnalyzer } from '../../../../src/sql/analysis.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { analyzer, Talk } from './conversation-state.js';

const { query, parse, bind, execute, sync } = frontend;

function peek(talk: Talk, bytes: Buffer): string {
  const { repeat, begins } = talk.state.peek(bytes.readUInt8(0), bytes, 5, bytes.length, () => talk.facts);
  return begins ? `${repeat}, begins` : repeat;
}

function end(talk: Talk, bytes: Buffer): string | null {
  return talk.state.transactionEnd(bytes.readUInt8(0), bytes, 5, bytes.length, () => talk.facts);
}

function units(talk: Talk): readonly string[] {
  return talk.state.outstanding.map((unit) => {
    const words = (['isQuery', 'begins', 'mayCommit', 'hasCommitted', 'endsTransaction'] as const).filter(
      (each) => unit[each],
    );
    return [unit.repeat, ...words].join(' ');
  });
}

test('a unit may be repeated as its one statement may', () => {
  const talk = new Talk().send(
    query('SELECT 1'),
    query('SHOW geqo'),
    query('INSERT INTO t VALUES (1)'),
    query('VACUUM'),
    query('BEGIN'),
  );
  assert.deepEqual(units(talk), [
    'if_rolled_back isQuery',
    'always isQuery',
    'if_rolled_back',
    'never',
    'always begins',
  ]);
});

test('a string of several statements is sent again only where each of them always may', () => {
  const talk = new Talk().send(
    query('SELECT 1; SELECT 2'),
    query('SET geqo = on; SHOW geqo'),
    query('BEGIN; SELECT 1; COMMIT'),
  );
  assert.deepEqual(units(talk), ['by_client isQuery', 'always', 'never mayCommit endsTransaction']);
});

test('a batch is one transaction, and so is repeated as a whole', () => {
  const talk = new Talk().send(parse('SELECT 1'), bind(), execute(), parse('UPDATE t SET a = 1'), bind(), execute());
  assert.deepEqual(units(talk), ['if_rolled_back']);
  talk.send(parse('CALL f()'), bind(), execute(), sync());
  assert.deepEqual(units(talk), ['never']);
  assert.deepEqual(units(new Talk().send(parse('CALL f()'), bind(), sync())), ['always isQuery'], 'nothing of it runs');
});

test('units go when they have ended, and tell of a COMMIT that was answered', () => {
  const talk = new Talk().query('BEGIN', 'CT').send(query('COMMIT'), query('SELECT 1'));
  assert.deepEqual(units(talk), ['never mayCommit endsTransaction', 'if_rolled_back isQuery']);
  assert.deepEqual(units(talk.hear('C'))[0], 'never mayCommit hasCommitted endsTransaction');
  assert.deepEqual(units(talk.hear('I')), ['if_rolled_back isQuery']);
  const failed = new Talk().send(query('COMMIT')).hear('R');
  assert.deepEqual(units(failed), ['never mayCommit endsTransaction']);
});

test('what runs by a name is as what was prepared', () => {
  const talk = new Talk()
    .prepare('s1', 'INSERT INTO t VALUES (1)')
    .prepare('s2', 'CALL f()')
    .query('PREPARE p AS SELECT 1');
  talk.send(bind({ statement: 's1' }), execute(), sync(), bind({ statement: 's2' }), execute(), sync());
  talk.send(
    query('EXECUTE p'),
    query('EXECUTE s2'),
    query('EXECUTE missing'),
    bind({ statement: 'missing' }),
    execute(),
    sync(),
  );
  assert.deepEqual(units(talk), [
    'if_rolled_back',
    'never',
    'if_rolled_back isQuery',
    'never',
    'never',
    'never mayCommit',
  ]);
});

test('where a name may mean one or another statement, the unit is not repeated', () => {
  const talk = new Talk().prepare('s1', 'CALL f()');
  talk.send(parse('SELECT 1', { name: 's1' }), sync(), bind({ statement: 's1' }), execute(), sync());
  assert.equal(units(talk)[1], 'never mayCommit');
});

test('what is too large to be read, and a FunctionCall, are not repeated', () => {
  const talk = new Talk().sendUnread(query('SELECT 1')).send(message('F', Buffer.alloc(12)));
  talk.sendUnread(bind()).send(execute(), sync());
  assert.deepEqual(units(talk), ['never mayCommit', 'never', 'never mayCommit']);
});

test('a unit behind one that failed in the extended protocol begins at the Sync', () => {
  const talk = new Talk()
    .send(parse('SELECT 1/0'), bind(), execute())
    .hear('1E')
    .send(query('SELECT 1'), sync())
    .hear('I');
  assert.deepEqual(units(talk), []);
});

test('peeks at the first message of a unit', () => {
  const talk = new Talk().prepare('s1', 'INSERT INTO t VALUES (1)');
  assert.equal(peek(talk, query('BEGIN')), 'always, begins');
  assert.equal(peek(talk, query('SELECT 1')), 'if_rolled_back');
  assert.equal(peek(talk, query('COMMIT AND CHAIN')), 'never, begins');
  assert.equal(peek(talk, parse('CALL f()')), 'never');
  assert.equal(peek(talk, bind({ statement: 's1' })), 'if_rolled_back');
  assert.equal(peek(talk, bind({ statement: 'missing' })), 'never');
  assert.equal(peek(talk, message('F', Buffer.alloc(12))), 'never');
  for (const bytes of [sync(), frontend.describe('S', 's1'), frontend.close('S', 's1')])
    assert.equal(peek(talk, bytes), 'always');
  const { repeat } = talk.state.peek(0x51, query('SELECT 1'), 5, NOT_READ, () => talk.facts);
  assert.equal(repeat, 'never');
  assert.deepEqual(units(talk), [], 'nothing is noted');
});

test('tells how a message ends a transaction', () => {
  const talk = new Talk().prepare('c', 'COMMIT').prepare('s', 'SELECT 1');
  assert.equal(end(talk, query('COMMIT;')), 'commit');
  assert.equal(end(talk, query('END')), 'commit');
  assert.equal(end(talk, query("PREPARE TRANSACTION 'x'")), 'commit');
  assert.equal(end(talk, query('/* so */ ABORT')), 'rollback');
  assert.equal(end(talk, query('ROLLBACK AND CHAIN')), 'chained');
  assert.equal(end(talk, query('COMMIT; SELECT 1')), 'commit_first');
  assert.equal(end(talk, query('ROLLBACK; BEGIN')), 'rollback_first');
  assert.equal(end(talk, parse('COMMIT')), 'commit');
  assert.equal(end(talk, bind({ statement: 'c' })), 'commit');
  for (const bytes of [
    bind({ statement: 's' }),
    bind({ statement: 'x' }),
    query('ROLLBACK TO s'),
    query('SELECT 1; COMMIT'),
  ]) {
    assert.equal(end(talk, bytes), null);
  }
});

test('a unit that is nothing but BEGIN tells how it would begin again', () => {
  const beginning = (...messages: Buffer[]): unknown => new Talk().send(...messages).state.oldestUnit?.beginning;
  assert.equal(beginning(query('begin')), 'BEGIN');
  assert.equal(beginning(query('START TRANSACTION READ ONLY')), 'BEGIN READ ONLY');
  assert.equal(
    beginning(parse('begin isolation level repeatable read read only'), bind(), execute(), sync()),
    'BEGIN ISOLATION LEVEL repeatable read READ ONLY',
  );
  assert.equal(beginning(query('begin read write')), 'BEGIN READ WRITE');
  for (const text of ['begin; select 1', 'select 1; begin', 'commit and chain', 'select 1', '', 'savepoint a']) {
    assert.equal(beginning(query(text)), null, text);
  }
  const read = [parse('select 1'), bind(), execute()];
  assert.equal(beginning(parse('begin'), bind(), execute(), ...read, sync()), null);
});

test('a text that was read ahead is not read once more when it is sent, unless it may mean something else by then', () => {
  let readings = 0;
  const counting: SqlAnalyzer = {
    analyze: (...text) => {
      readings += 1;
      return analyzer.analyze(...text);
    },
  };
  const state = new SessionState(10, counting, new FakeClock());
  const bytes = query("SELECT 'x'");
  const facts = { clientEncoding: 'UTF8', escapesInStrings: false };
  state.analyze(bytes, 5, bytes.length - 1, facts);
  state.sent(bytes.readUInt8(0), bytes, 5, bytes.length, () => facts);
  assert.equal(readings, 1);
  state.analyze(bytes, 5, bytes.length - 1, facts);
  const others = { ...facts, escapesInStrings: true };
  state.sent(bytes.readUInt8(0), bytes, 5, bytes.length, () => others);
  assert.equal(readings, 3, 'strings are read otherwise now');
});

test('a text that was read ahead while nobody knew how to read it is read once more', () => {
  const talk = new Talk().send(query('RESET ALL'));
  const bytes = query("SELECT 'a\\b'");
  const read = (): unknown => talk.state.analyze(bytes, 5, bytes.length - 1, talk.facts).statements[0]?.effects;
  assert.deepEqual(read(), [{ kind: 'pin', reason: 'unknown_statement', name: null }]);
  talk.hear('CI');
  assert.deepEqual(read(), []);
});
