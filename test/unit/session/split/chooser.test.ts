import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadObstacle } from '../../../../src/sql/read-obstacle.js';
import { SplitReason } from '../../../../src/session/split/split-reason.js';
import { frontend, message } from '../../../support/raw-messages.js';
import { ChooserBench } from './chooser-bench.js';
import { analyze } from './unit-reader.js';

const { query, parse, bind, describe, execute, sync, flush } = frontend;

function batch(sql: string): readonly Buffer[] {
  return [parse(sql), bind(), execute(), sync()];
}

function run(statement: string): readonly Buffer[] {
  return [bind({ statement }), execute(), sync()];
}

test('proven reads are for a standby, in either protocol, and all else is for the primary with its reason', () => {
  const bench = new ChooserBench();
  const rows: readonly (readonly [sql: string, said: string])[] = [
    ['select 1', `standby ${SplitReason.Read}`],
    ['select reads(), count(*) from t', `standby ${SplitReason.Read}`],
    ['select 1; table t; values (1)', `standby ${SplitReason.Read}`],
    ['copy t to stdout', `standby ${SplitReason.Read}`],
    ['insert into t values (1)', `primary ${ReadObstacle.Write}`],
    ['select 1; insert into t values (1)', `primary ${ReadObstacle.Write}`],
    ['select * from t for update', `primary ${ReadObstacle.RowLock}`],
    ['select 1 into x', `primary ${ReadObstacle.Into}`],
    ['select writes()', `primary ${ReadObstacle.VolatileFunction}`],
    ['set a.b = 1', `primary ${ReadObstacle.Session}`],
    ['show geqo', `primary ${ReadObstacle.Show}`],
    ['create table x ()', `primary ${ReadObstacle.Definition}`],
    ['vacuum', `primary ${ReadObstacle.Utility}`],
    ['selec 1', `primary ${ReadObstacle.Unknown}`],
    ['explain analyze select 1', `primary ${ReadObstacle.ExplainAnalyze}`],
    ['commit', `primary ${ReadObstacle.Transaction}`],
  ];
  for (const [sql, said] of rows) {
    assert.equal(bench.query(sql), said, sql);
    assert.equal(bench.say(...batch(sql)), said, sql);
    assert.equal(bench.choose([query(sql)])?.isRead, said.startsWith('standby'), sql);
  }
});

test('a function that the catalogue does not know is reported as missed', () => {
  const bench = new ChooserBench();
  assert.equal(bench.query('select nowhere()'), `primary ${ReadObstacle.UnknownFunction}`);
  assert.equal(bench.missed, 1);
  bench.query('select writes()');
  assert.equal(bench.missed, 1);
});

test('without a catalogue only what needs none is a read', () => {
  const bench = new ChooserBench();
  bench.catalog = null;
  assert.equal(bench.query('select 1'), 'standby read');
  assert.equal(bench.query('select reads()'), `primary ${ReadObstacle.NoCatalog}`);
});

test('more of a unit is asked for while it is there in part, whatever it holds', () => {
  const bench = new ChooserBench();
  assert.equal(bench.say(...batch('select 1').slice(0, 3)), 'more');
  bench.isInTransaction = true;
  bench.target = 'primary';
  assert.equal(bench.say(...batch('insert into t values (1)').slice(0, 3)), 'more');
});

test('neutral: what runs nothing stays where the session is, or goes to a standby', () => {
  const bench = new ChooserBench();
  for (const frames of [[query('')], [query(' -- nothing')], [sync()], [describe('P', 'x'), sync()]]) {
    bench.target = null;
    assert.equal(bench.say(...frames), `standby ${SplitReason.Neutral}`);
    bench.target = 'primary';
    assert.equal(bench.say(...frames), `primary ${SplitReason.Neutral}`);
  }
});

test('transaction: what runs in one stays where that is', () => {
  const bench = new ChooserBench();
  bench.isInTransaction = true;
  bench.target = 'primary';
  assert.equal(bench.query('select 1'), `primary ${SplitReason.Transaction}`);
  assert.equal(bench.choose([query('select 1')])?.isRead, true);
  assert.equal(bench.choose([query('delete from t')])?.isRead, false);
  bench.target = 'standby';
  for (const sql of ['select 1', 'commit', 'rollback', 'savepoint a', 'rollback to a', 'commit; select 1']) {
    assert.equal(bench.query(sql), `standby ${SplitReason.Transaction}`, sql);
  }
});

test('a unit that is no read wants to leave the transaction that it finds on a standby', () => {
  const bench = new ChooserBench();
  bench.isInTransaction = true;
  bench.target = 'standby';
  for (const sql of ['delete from t', 'select writes()', 'commit; delete from t', 'commit; begin']) {
    assert.equal(bench.query(sql), 'standby transaction leaves', sql);
  }
  bench.target = 'primary';
  assert.equal(bench.query('delete from t'), 'primary transaction');
});

test('narrowed: the client has chosen, whatever the unit is; split takes that back', () => {
  const narrowed = new ChooserBench({ route: 'standby' });
  assert.equal(narrowed.query('delete from t'), `standby ${SplitReason.Narrowed}`);
  const bench = new ChooserBench();
  bench.talk.query("set switchyard.route = 'primary'");
  assert.equal(bench.query('select 1'), `primary ${SplitReason.Narrowed}`);
  bench.talk.query("set switchyard.route = 'split'");
  assert.equal(bench.query('select 1'), 'standby read');
});

test('hint: a comment asks for the primary, and one that is not understood does so too', () => {
  const bench = new ChooserBench();
  assert.equal(bench.query('select 1 /* switchyard: primary */'), `primary ${SplitReason.Hint}`);
  assert.equal(bench.query('select 1 -- switchyard: anywhere'), `primary ${SplitReason.Hint}`);
  bench.talk.prepare('hinted', 'select 1 -- switchyard: primary');
  assert.equal(bench.say(...run('hinted')), `primary ${SplitReason.Hint}`);
});

test('listening: the session is on the primary until it listens no more', () => {
  const bench = new ChooserBench();
  bench.talk.query('listen news');
  assert.equal(bench.query('select 1'), `primary ${SplitReason.Listening}`);
  bench.talk.query('unlisten *');
  assert.equal(bench.query('select 1'), 'standby read');
});

test('pinned: what is on the primary alone may be what a read is about', () => {
  const bench = new ChooserBench();
  bench.talk.query('create temporary table x ()');
  assert.equal(bench.query('select 1'), `primary ${SplitReason.Pinned}`);
  bench.talk.query('drop table x');
  assert.equal(bench.query('select 1'), 'standby read');
  bench.talk.query('select pg_advisory_lock(1)');
  assert.equal(bench.query('select 1'), 'standby read', 'a lock is in no read of others');
});

test('serializable: no standby has such transactions', () => {
  const bench = new ChooserBench();
  bench.talk.query('set default_transaction_isolation = serializable');
  assert.equal(bench.query('select 1'), `primary ${SplitReason.Serializable}`);
  bench.talk.query("set default_transaction_isolation = 'repeatable read'");
  assert.equal(bench.query('select 1'), 'standby read');
  bench.chooser.bar(SplitReason.Serializable);
  assert.equal(bench.query('select 1'), `primary ${SplitReason.Serializable}`);
});

test('unread: what is too long or not known is for the primary', () => {
  const bench = new ChooserBench();
  assert.equal(bench.say(message('F', Buffer.alloc(8))), `primary ${SplitReason.Unread}`);
  assert.equal(bench.say(...run('nobody knows')), `primary ${SplitReason.Unread}`);
  assert.equal(bench.choose([query('select 1')], false)?.reason, SplitReason.Unread);
  assert.equal(bench.choose([query('select 1')], false)?.names, 'all');
  bench.bytesMax = 10;
  const choice = bench.choose(batch('select 1'));
  assert.deepEqual([choice?.target, choice?.reason, choice?.names], ['primary', SplitReason.Unread, 'all']);
});

test('flushed: what has executed something may go on with anything; what has only prepared may not', () => {
  const bench = new ChooserBench();
  assert.equal(bench.say(parse('select 1'), bind(), execute(), flush()), `primary ${SplitReason.Flushed}`);
  assert.equal(bench.say(parse('select 1'), describe('S'), flush()), 'standby read');
  assert.equal(bench.say(parse('delete from t'), describe('S'), flush()), `primary ${ReadObstacle.Write}`);
});

test('refused_before: a statement that a standby has refused, whatever its literals', () => {
  const bench = new ChooserBench();
  const { template } = analyze('select 1 from t where a = 5');
  bench.refused.add('other', template ?? '', '25006', 'no');
  assert.equal(bench.query('select 1 from t where a = 5'), 'standby read', 'that was another database');
  bench.refused.add('app', template ?? '', '25006', 'no');
  assert.equal(bench.query('select 1 from t where a = 7'), `primary ${SplitReason.RefusedBefore}`);
  bench.talk.prepare('one', 'select 1 from t where a = 6');
  assert.equal(bench.say(...run('one')), `primary ${SplitReason.RefusedBefore}`);
});

test('refused: so many units as are run again, admitted ones, go to the primary', () => {
  const bench = new ChooserBench();
  bench.chooser.refuse(2);
  assert.equal(bench.query('select 1'), `primary ${SplitReason.Refused}`);
  assert.equal(bench.query('select 1'), `primary ${SplitReason.Refused}`, 'it has asked again');
  bench.chooser.admitted();
  assert.equal(bench.query('select 2'), `primary ${SplitReason.Refused}`);
  bench.chooser.admitted();
  assert.equal(bench.query('select 3'), 'standby read');
  bench.chooser.admitted();
  assert.equal(bench.query('select 3'), 'standby read');
});

test('prepared_there: what was prepared before the session has changed a definition', () => {
  const bench = new ChooserBench();
  bench.talk.prepare('old', 'select 1 from t');
  bench.chooser.defined();
  bench.talk.prepare('new', 'select 2 from t');
  assert.equal(bench.say(...run('old')), `primary ${SplitReason.PreparedThere}`);
  assert.equal(bench.query('execute old'), `primary ${SplitReason.PreparedThere}`);
  assert.equal(bench.say(...run('new')), 'standby read');
  assert.equal(bench.say(parse('select 3', { name: 'newest' }), sync()), 'standby read');
  bench.talk.prepare('old', 'select 1 from t');
  assert.equal(bench.say(...run('old')), 'standby read', 'it is another one now');
});

test('prepared_there: what cannot be kept exists on one backend only', () => {
  const bench = new ChooserBench();
  for (let each = 0; each < 9; each += 1) bench.talk.prepare(`s${each}`, 'select 1');
  const two = [parse('select 1', { name: 'a' }), parse('select 1', { name: 'b' }), sync()];
  assert.equal(bench.say(...two.slice(1)), 'standby read');
  assert.equal(bench.say(...two), `primary ${SplitReason.PreparedThere}`);
});

test('state_refused: a session whose state no standby takes stays on the primary', () => {
  const bench = new ChooserBench();
  bench.chooser.bar(SplitReason.StateRefused);
  assert.equal(bench.query('select 1'), `primary ${SplitReason.StateRefused}`);
  bench.isInTransaction = true;
  bench.target = 'standby';
  assert.equal(bench.query('select 1'), 'standby transaction', 'what is open there is finished there');
});

test('EXECUTE is what it runs, through all that runs others, as deep as that is followed', () => {
  const bench = new ChooserBench();
  bench.talk.query('prepare a as select 1 from t');
  bench.talk.query('prepare w as delete from t');
  assert.equal(bench.query('execute a'), 'standby read');
  assert.equal(bench.query('execute w'), `primary ${ReadObstacle.Write}`);
  assert.equal(bench.query('execute unknown'), `primary ${SplitReason.Unread}`);
  assert.equal(bench.query('select 1; execute a; execute w'), `primary ${ReadObstacle.Write}`);
  // Only the protocol can prepare an EXECUTE.
  bench.talk.prepare('b', 'execute a');
  bench.talk.prepare('c', 'execute w');
  assert.equal(bench.say(...run('b')), 'standby read');
  assert.equal(bench.say(...run('c')), `primary ${ReadObstacle.Write}`);
  bench.talk.prepare('l0', 'execute l0');
  assert.equal(bench.say(...run('l0')), `primary ${SplitReason.Unread}`, 'it has no end');
});

test('the arguments of an EXECUTE count too', () => {
  const bench = new ChooserBench();
  bench.talk.query('prepare a as select $1::int');
  assert.equal(bench.query('execute a(1 + 2)'), 'standby read');
  assert.equal(bench.query('execute a(writes())'), `primary ${ReadObstacle.VolatileFunction}`);
});

test('a template that was refused as such is not a read behind an EXECUTE either', () => {
  const bench = new ChooserBench();
  bench.talk.query('prepare a as select 1');
  bench.refused.add('app', analyze('execute a').template ?? '', '25006', 'no');
  assert.equal(bench.query('execute a'), `primary ${SplitReason.RefusedBefore}`);
});

test('transactions that are read only begin on a standby, by their own word or the default of the session', () => {
  const bench = new ChooserBench();
  const reads = [
    'begin read only',
    'begin isolation level repeatable read, read only',
    'begin read only; select 1; end',
  ];
  const writes = [
    'begin',
    'begin read write',
    'begin isolation level serializable, read only',
    'begin read only; delete from t',
    'begin read only; end; begin',
    'select 1; end',
  ];
  for (const sql of reads) assert.equal(bench.query(sql), 'standby read', sql);
  for (const sql of writes) assert.match(bench.query(sql), /^primary (transaction|write)$/, sql);
  bench.talk.query('set default_transaction_read_only = on');
  assert.equal(bench.query('begin'), 'standby read');
  assert.equal(bench.query('begin read write'), 'primary transaction');
  bench.talk.query('set default_transaction_isolation = serializable');
  assert.equal(bench.query('begin'), 'primary serializable');
  assert.equal(bench.query('begin isolation level repeatable read'), 'primary serializable');
});

test('a transaction of a session that has a cursor on the primary may want it, a read may not', () => {
  const bench = new ChooserBench();
  bench.talk.query('declare c cursor with hold for select 1');
  assert.equal(bench.query('begin read only'), 'primary transaction');
  assert.equal(bench.query('select 1'), 'standby read');
  bench.talk.query('close c');
  assert.equal(bench.query('begin read only'), 'standby read');
});

test('mistakes in settings of ours, and settings that are shown, are told wherever the unit goes', () => {
  const bench = new ChooserBench();
  assert.equal(bench.choose([query("set switchyard.route = 'x'")])?.mistake?.code, 'bad_setting');
  assert.equal(bench.choose([query('select 1')])?.mistake, null);
  assert.equal(bench.choose([query('show switchyard.fence')])?.shows, 'fence');
  bench.isInTransaction = true;
  bench.target = 'standby';
  assert.equal(bench.choose([query('show switchyard.route')])?.shows, 'route');
});

test('a unit names the statements that its backend must have', () => {
  const bench = new ChooserBench();
  bench.talk.prepare('one', 'select 1');
  assert.deepEqual(bench.choose(run('one'))?.names, ['one']);
  assert.deepEqual(bench.choose([query('execute one')])?.names, ['one']);
});
