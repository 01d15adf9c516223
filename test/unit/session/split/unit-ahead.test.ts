import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UnitAhead } from '../../../../src/session/split/unit-ahead.js';
import type { TextReader } from '../../../../src/session/split/unit-ahead.js';
import { frontend, message } from '../../../support/raw-messages.js';
import { analyze, UnitReader } from './unit-reader.js';

const { query, parse, bind, describe, execute, close, sync, flush } = frontend;
const prepared = { reads: 'select a from t', writes: 'delete from t', hinted: '/* switchyard: primary */ select 1' };

function textsOf(reader: UnitReader): readonly (string | null)[] {
  return reader.ahead.analyses.map(({ template }) => template);
}

test('a Query is a whole unit, and what is behind it belongs to others', () => {
  const reader = new UnitReader();
  const ahead = reader.frames(query('select 1'), query('delete from t'), parse('select 2'));
  assert.equal(ahead.extent, 'whole');
  assert.equal(ahead.analyses.length, 1);
  assert.deepEqual(ahead.names, []);
});

test('a Query that is too large to be read, and a FunctionCall, are not known', () => {
  const reader = new UnitReader();
  assert.equal(reader.read(query('select 1').subarray(0, 7)).extent, 'too_long');
  const call = reader.frames(message('F', Buffer.alloc(10)));
  assert.deepEqual([call.extent, call.hasUnknown, call.analyses.length], ['whole', true, 0]);
});

test('a batch is read to its Sync and no further', () => {
  const reader = new UnitReader();
  const batch = [parse('select 1'), bind(), describe('P'), execute()];
  assert.equal(reader.frames(...batch).extent, 'partial');
  const ahead = reader.frames(...batch, sync(), parse('delete from t', { name: 'other' }), sync());
  assert.equal(ahead.extent, 'whole');
  assert.equal(ahead.analyses.length, 1);
  assert.deepEqual(ahead.names, []);
  assert.equal(ahead.executes, true);
});

test('one unit leaves nothing behind for the next', () => {
  const reader = new UnitReader(prepared);
  const ahead = reader.frames(
    close('S', 'reads'),
    parse('/* switchyard: primary */ select 1', { name: 'x' }),
    bind({ statement: 'nobody knows' }),
    execute(),
    flush(),
    sync(),
  );
  assert.deepEqual([ahead.hint, ahead.hasUnknown, ahead.parses], ['primary', true, 1]);
  reader.frames(describe('S', 'reads'), sync());
  assert.deepEqual([ahead.hint, ahead.hasUnknown, ahead.parses, ahead.parseBytes], [null, false, 0, 0]);
  assert.deepEqual([ahead.executes, ahead.names], [false, ['reads']]);
  assert.equal(reader.frames(describe('S', 'x')).extent, 'partial', 'the Flush was of another unit');
});

test('it needs what it binds, describes, parses by name, prepares, executes and deallocates', () => {
  const reader = new UnitReader(prepared);
  reader.frames(
    bind({ statement: 'reads' }),
    describe('S', 'writes'),
    describe('P', 'a portal'),
    parse('select 1', { name: 'new' }),
    parse('prepare made as select 1'),
    parse('execute run(1)'),
    parse('deallocate gone'),
    parse('deallocate all'),
    bind({ statement: 'reads', portal: 'again' }),
    execute(),
    sync(),
  );
  assert.deepEqual(reader.ahead.names, ['reads', 'writes', 'new', 'made', 'run', 'gone']);
  assert.equal(reader.ahead.parses, 1);
});

test('it does not need what it has closed or parsed itself before', () => {
  const reader = new UnitReader(prepared);
  reader.frames(close('S', 'reads'), parse('select 2', { name: 'reads' }), bind({ statement: 'reads' }), sync());
  assert.deepEqual(reader.ahead.names, []);
  assert.equal(reader.ahead.analyses.length, 1, 'and not what was there before');
  reader.frames(bind({ statement: 'reads' }), close('S', 'reads'), sync());
  assert.deepEqual(reader.ahead.names, ['reads'], 'it was closed behind that');
  reader.frames(close('P', 'reads'), bind({ statement: 'reads' }), sync());
  assert.deepEqual(reader.ahead.names, ['reads'], 'that was a portal');
});

test('the unnamed statement of an earlier unit is needed, that of its own is not', () => {
  const reader = new UnitReader({ '': 'select a from t' });
  assert.deepEqual(reader.frames(bind(), execute(), sync()).names, ['']);
  assert.deepEqual(textsOf(reader), ['select a from t']);
  assert.deepEqual(reader.frames(parse('delete from t'), bind(), execute(), sync()).names, []);
  assert.deepEqual(textsOf(reader), ['delete from t']);
});

test('each text that it could run counts: parsed, bound or described', () => {
  const reader = new UnitReader(prepared);
  reader.frames(parse('select 1'), bind({ statement: 'writes' }), describe('S', 'reads'), execute(), sync());
  assert.deepEqual(textsOf(reader).slice(1), ['delete from t', 'select a from t']);
  assert.equal(reader.ahead.hasUnknown, false);
});

test('what nobody knows makes the unit unknown, and so does a message that does not end', () => {
  const reader = new UnitReader(prepared);
  assert.equal(reader.frames(bind({ statement: 'nobody knows' }), sync()).hasUnknown, true);
  assert.equal(reader.frames(describe('S', 'nobody knows'), sync()).hasUnknown, true);
  assert.equal(reader.frames(message('P', Buffer.from('no end')), sync()).hasUnknown, true);
  assert.equal(reader.frames(message('P', Buffer.from('name\0no end')), sync()).hasUnknown, true);
  assert.equal(reader.frames(message('B', Buffer.from('portal\0no end')), sync()).hasUnknown, true);
});

test('only Bind and Execute execute', () => {
  const reader = new UnitReader(prepared);
  assert.equal(reader.frames(parse('select 1'), describe('S'), close('S', 'x'), sync()).executes, false);
  assert.equal(reader.frames(bind({ statement: 'reads' }), sync()).executes, true);
  assert.equal(reader.frames(execute('a portal'), sync()).executes, true);
});

test('behind a Flush nobody waits for more, unless it ends in the middle of a message', () => {
  const reader = new UnitReader();
  const start = [parse('select 1'), describe('S'), flush()];
  assert.equal(reader.frames(...start).extent, 'flushed');
  assert.equal(reader.frames(...start, bind().subarray(0, 3)).extent, 'partial');
  assert.equal(reader.frames(...start, bind().subarray(0, 8)).extent, 'partial');
  assert.equal(reader.frames(...start, bind(), execute()).extent, 'flushed');
  assert.equal(reader.frames(...start, bind(), execute(), sync()).extent, 'whole');
  assert.equal(reader.ahead.executes, true);
});

test('of what is there in part no text is read: it would be again with each piece', () => {
  const reader = new UnitReader(prepared);
  const ahead = reader.frames(parse('select 1'), bind({ statement: 'reads' }), execute());
  assert.deepEqual([ahead.extent, ahead.analyses.length, ahead.names.length], ['partial', 0, 0]);
});

test('COPY data is behind what must be answered first', () => {
  const reader = new UnitReader();
  const copy = [parse('copy t from stdin'), bind(), execute()];
  for (const data of [frontend.copyData('1\n'), frontend.copyDone(), frontend.copyFail('no'), frontend.terminate()]) {
    assert.equal(reader.frames(...copy, data, sync()).extent, 'flushed');
  }
});

test('nothing beyond the bound is read, and the bound is that of the whole unit', () => {
  const unit = [parse('select 1'), bind(), execute(), sync()];
  const bytes = Buffer.concat(unit).length;
  const reader = new UnitReader();
  reader.bytesMax = bytes;
  assert.equal(reader.frames(...unit).extent, 'whole');
  reader.bytesMax = bytes - 1;
  assert.equal(reader.frames(...unit).extent, 'too_long');
  assert.equal(reader.frames(...unit.slice(0, 3)).extent, 'partial', 'nobody knows yet');
  const large = parse('x'.repeat(100)).subarray(0, 5);
  reader.bytesMax = 50;
  assert.equal(reader.read(large).extent, 'too_long', 'its header says so');
});

test('a hint counts wherever it stands, also in the text of a prepared statement', () => {
  const reader = new UnitReader(prepared);
  assert.equal(reader.frames(query('select 1 -- switchyard: primary')).hint, 'primary');
  assert.equal(reader.frames(parse('select 1'), parse('/*SWITCHYARD:Primary*/ select 2'), sync()).hint, 'primary');
  assert.equal(reader.frames(bind({ statement: 'hinted' }), execute(), sync()).hint, 'primary');
  assert.equal(reader.frames(bind({ statement: 'reads' }), execute(), sync()).hint, null);
  assert.equal(reader.frames(query('/* switchyard: standby */ select 1')).hint, 'invalid');
  assert.equal(reader.frames(query("select '/* switchyard: primary */'")).hint, null);
});

test('where no text can ask anything of the proxy, none is looked through for that', () => {
  const reader: TextReader = { analyze: () => analyze('select 1'), analysisOf: () => null, hintOf: () => 'primary' };
  const ahead = new UnitAhead(reader, () => 1 << 20, false);
  for (const unit of [query('select 1 -- switchyard: primary'), Buffer.concat([bind({ statement: 's' }), sync()])]) {
    ahead.read(unit.readUInt8(0), unit, 5, 1 + unit.readUInt32BE(1), {
      clientEncoding: 'UTF8',
      escapesInStrings: false,
    });
    assert.equal(ahead.hint, null);
  }
});
