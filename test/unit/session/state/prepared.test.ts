import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPlainText } from '../../../../src/session/state/kept.js';
import {
  copyFrame,
  entryOf,
  PREPARED_BYTES_MAX,
  PreparedStatements,
  readParse,
} from '../../../../src/session/state/prepared.js';
import { frontend, message } from '../../../support/raw-messages.js';
import { Talk } from './conversation-state.js';

/** The names of the statements that another backend would be given. */
function names(talk: Talk): readonly string[] {
  return talk.replayed.filter((text) => text.startsWith('P')).map((text) => text.slice(2, text.indexOf('|')));
}

const parse = (name: string): Buffer => frontend.parse('SELECT 1', { name });
const sync = frontend.sync();

test('a statement is kept once it is acknowledged', () => {
  const talk = new Talk().send(parse('a'), sync);
  assert.deepEqual(names(talk), []);
  talk.hear('1');
  assert.deepEqual(names(talk), ['a']);
});

test('a statement that was acknowledged stays though its unit fails', () => {
  assert.deepEqual(names(new Talk().send(parse('a'), parse('b'), sync).hear('1EI')), ['a']);
});

test('a Parse that was skipped after an error is not kept, and does not spoil the next unit', () => {
  const talk = new Talk().send(parse('a'), parse('b'), sync, parse('c'), sync).hear('EI1I');
  assert.deepEqual(names(talk), ['c']);
});

test('a statement that is prepared in a unit behind a simple Query under way is kept', () => {
  const talk = new Talk().send(frontend.query('SELECT 1'), parse('a'), sync).hear('I1I');
  assert.deepEqual(names(talk), ['a']);
});

test('units without Parse between others count', () => {
  const talk = new Talk().send(sync, sync, parse('a'), sync, frontend.query(''), parse('b'), sync).hear('II1II1I');
  assert.deepEqual(names(talk), ['a', 'b']);
});

test('Close takes a statement back when it is acknowledged', () => {
  const talk = new Talk().send(parse('a'), parse('b'), sync).hear('11I');
  talk.send(frontend.close('S', 'a'), sync);
  assert.deepEqual(names(talk), ['a', 'b']);
  talk.hear('3I');
  assert.deepEqual(names(talk), ['b']);
});

test('Close of a portal takes no statement back, and is not taken for the Close of one', () => {
  const talk = new Talk().send(parse('a'), sync).hear('1I');
  // The portal is closed, then an error makes the backend skip the Close of the statement.
  talk.send(frontend.close('P', 'a'), parse('broken'), frontend.close('S', 'a'), sync).hear('3EI');
  assert.deepEqual(names(talk), ['a']);
});

test('a Close too large to be read takes nothing back', () => {
  const talk = new Talk().send(parse('a'), sync).hear('1I');
  talk.sendUnread(frontend.close('S', 'a')).send(sync).hear('3I');
  assert.deepEqual(names(talk), ['a']);
});

test('the unnamed statement is replaced by the next one, and destroyed by a simple Query, even one that fails', () => {
  const talk = new Talk().execute('SELECT 1').execute('SELECT 2');
  assert.deepEqual(talk.replayed, ['P |SELECT 2|||']);
  talk.send(frontend.query('selec'));
  assert.deepEqual(names(talk), ['']);
  talk.hear('EI');
  assert.deepEqual(names(talk), []);
});

test('an unnamed statement that is acknowledged in front of a simple Query is destroyed by it', () => {
  const talk = new Talk().send(parse(''), sync, frontend.query('SELECT 1')).hear('1II');
  assert.deepEqual(names(talk), []);
});

test('a Parse that is acknowledged again replaces the text', () => {
  const talk = new Talk().prepare('a', 'SELECT 1');
  talk.send(frontend.close('S', 'a'), frontend.parse('SELECT 2', { name: 'a' }), sync).hear('31I');
  assert.deepEqual(talk.replayed, ['P a|SELECT 2|||']);
});

test('the parameter types of a statement are replayed with it', () => {
  const bytes = frontend.parse('SELECT $1', { name: 'a', types: [23, 25] });
  const talk = new Talk().send(bytes, sync).hear('1I');
  assert.deepEqual(talk.state.replay()?.bytes, Buffer.concat([bytes, sync]));
});

test('no more statements are kept than allowed, and it is known that there are more', () => {
  const talk = new Talk(2).prepare('a', 'SELECT 1').prepare('b', 'SELECT 1').prepare('a', 'SELECT 2');
  assert.ok(!talk.state.prepared.isOverflowing);
  talk.prepare('c', 'SELECT 1');
  assert.ok(talk.state.prepared.isOverflowing);
  assert.equal(talk.state.prepared.size, 2);
});

test('the name of a statement that cannot be kept is known, so that it can go', () => {
  const talk = new Talk(1).prepare('a', 'SELECT 1').prepare('b', 'SELECT pg_advisory_lock(1)');
  assert.equal(talk.state.pinReason, 'too_many_prepared');
  assert.deepEqual(talk.run('b').pins, ['advisory_lock'], 'and what it does');
  talk.query('SELECT pg_advisory_unlock_all()').send(frontend.close('S', 'b'), sync).hear('3I');
  assert.equal(talk.state.pinReason, null);
  assert.deepEqual(talk.prepare('b', 'SELECT 2').state.prepared.isOverflowing, true);
  talk.query('DEALLOCATE ALL');
  assert.equal(talk.state.pinReason, null);
});

test('no more bytes are kept than allowed, those not yet acknowledged included', () => {
  const prepared = new PreparedStatements(1000);
  const third = PREPARED_BYTES_MAX / 3;
  for (let i = 0; i < 3; i += 1) assert.ok(prepared.claim(Math.floor(third)));
  assert.ok(!prepared.claim(third));
});

test('bytes that are let go make room', () => {
  const prepared = new PreparedStatements(1000);
  const half = Buffer.alloc(PREPARED_BYTES_MAX / 2);
  const entry = (name: string) => ({ ...entryOf({ statements: [], template: null }).statement, name, frame: half });
  const { under } = entryOf({ statements: [], template: null });
  const keep = (name: string): void => {
    assert.ok(prepared.claim(half.length));
    prepared.keep(entry(name), under);
  };
  for (let i = 0; i < 5; i += 1) keep('');
  assert.ok(prepared.claim(half.length));
  prepared.release(entry('lost'));
  prepared.unitEnded(true);
  keep('a');
  keep('b');
  prepared.forget('b');
  keep('c');
  prepared.takeBack();
  assert.ok(!prepared.has('a') && !prepared.has('c'));
  keep('d');
  keep('e');
  prepared.forgetAll();
  keep('f');
  keep('g');
  assert.ok(!prepared.claim(1), 'the bound is still there');
});

test('statements too large to be read pin until it is known that there are none', () => {
  const talk = new Talk()
    .sendUnread(frontend.parse('SELECT 1'))
    .send(frontend.bind(), frontend.execute(), sync)
    .hear('1CI');
  assert.deepEqual(talk.pins, ['statement_too_large']);
  assert.ok(talk.state.prepared.isOverflowing && talk.state.isProvable);
  assert.deepEqual([...talk.state.prepared.reconcile(new Set())], []);
  assert.ok(talk.state.prepared.isOverflowing, 'the unnamed one may still be there');
  assert.ok(!talk.execute('SELECT 1').state.prepared.isOverflowing);
  talk.sendUnread(frontend.parse('SELECT 1')).send(sync).hear('1I').query('DEALLOCATE ALL');
  assert.ok(!talk.state.prepared.isOverflowing);
});

test('an acknowledgement that nobody waits for does nothing', () => {
  const talk = new Talk().hear('13I1');
  assert.deepEqual(names(talk), []);
  talk.send(parse('a'), sync).hear('3');
  assert.deepEqual(names(talk), []);
  assert.deepEqual(names(talk.hear('1I')), ['a']);
});

test('readParse tells the name and where the text lies', () => {
  const bytes = Buffer.concat([
    Buffer.from('before'),
    frontend.parse('SELECT 1', { name: 'größe' }),
    Buffer.from('behind'),
  ]);
  const start = 6 + 5;
  const end = bytes.length - 6;
  const read = readParse(bytes, start, end);
  assert.ok(read !== null);
  assert.equal(Buffer.from(read.name, 'latin1').toString(), 'größe');
  assert.equal(bytes.toString('utf8', read.textStart, read.textEnd), 'SELECT 1');
  assert.deepEqual(copyFrame(bytes, start, end), frontend.parse('SELECT 1', { name: 'größe' }));
});

test('readParse refuses a body that is not whole, whatever follows it', () => {
  for (const body of ['', 'name', 'name\0', 'name\0SELECT']) {
    const bytes = Buffer.concat([message('P', Buffer.from(body)), Buffer.alloc(4)]);
    assert.equal(readParse(bytes, 5, 5 + body.length), null, JSON.stringify(body));
  }
});

test('text with a backslash or bytes beyond ASCII is not plain', () => {
  assert.ok(isPlainText(Buffer.from("SELECT 'a'\n\t$1")));
  assert.ok(!isPlainText(Buffer.from("SELECT '\\'")));
  assert.ok(!isPlainText(Buffer.from("SELECT 'é'")));
});

test('there is room for as many statements as can be kept, those on their way included', () => {
  const talk = new Talk(3).send(parse('a'), parse('b'), sync);
  assert.deepEqual([talk.state.canKeep(1, 100), talk.state.canKeep(2, 100)], [true, false]);
  talk.hear('11I');
  assert.deepEqual([talk.state.canKeep(1, 100), talk.state.canKeep(2, 100)], [true, false]);
  assert.equal(talk.state.canKeep(0, PREPARED_BYTES_MAX), false);
  talk.send(parse('c'), parse('d'), sync).hear('11I');
  assert.equal(talk.state.canKeep(0, 0), false, 'one of them can only be had where it is');
  talk.send(frontend.close('S', 'd'), sync).hear('3I');
  assert.equal(talk.state.canKeep(0, 0), true);
});
