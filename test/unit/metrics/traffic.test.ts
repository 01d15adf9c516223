import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TrafficPeriods } from '../../../src/metrics/traffic-periods.js';
import { SessionTraffic, TrafficTable } from '../../../src/metrics/traffic.js';
import { FakeClock } from '../../support/fake-clock.js';

function session(): { readonly clock: FakeClock; readonly table: TrafficTable; readonly traffic: SessionTraffic } {
  const clock = new FakeClock();
  const table = new TrafficTable();
  return { clock, table, traffic: new SessionTraffic(table.enter('app', 'me'), clock) };
}

test('units and transactions are measured from their first message to their end', () => {
  const { clock, traffic } = session();
  traffic.begins();
  clock.advance(3);
  traffic.ends(false, true);
  clock.advance(100);
  traffic.begins();
  clock.advance(2);
  traffic.ends(true, true);
  const { queries, queryUs, transactions, transactionUs } = traffic.counts;
  assert.deepEqual(
    { queries, queryUs, transactions, transactionUs },
    { queries: 2, queryUs: 5000, transactions: 1, transactionUs: 105_000 },
  );
});

test('units of a pipeline are measured one behind the other', () => {
  const { clock, traffic } = session();
  for (let i = 0; i < 3; i += 1) traffic.begins();
  for (let i = 1; i <= 3; i += 1) {
    clock.advance(10);
    traffic.ends(true, i === 3);
  }
  clock.advance(1000);
  assert.equal(traffic.counts.queryUs, 30_000);
  assert.equal(traffic.counts.transactionUs, 30_000);
  assert.equal(traffic.counts.transactions, 3);
});

test('what is lost or begins again does not count the time in between', () => {
  const { clock, traffic } = session();
  traffic.begins();
  clock.advance(500);
  traffic.drops(true);
  clock.advance(500);
  traffic.begins();
  clock.advance(1);
  traffic.ends(true, true);
  assert.equal(traffic.counts.queryUs, 1000);
  assert.equal(traffic.counts.transactionUs, 1000);
});

test('waits are added up, and the present one is known', () => {
  const { clock, traffic } = session();
  traffic.waitEnds();
  assert.equal(traffic.waitSinceMs, null);
  traffic.waits();
  clock.advance(4);
  traffic.waits();
  assert.equal(traffic.waitSinceMs, 1000);
  clock.advance(3);
  traffic.waitEnds();
  assert.equal(traffic.counts.waitUs, 7000);
  assert.equal(traffic.waitSinceMs, null);
});

test('a database in which nothing was done is forgotten with its last session', () => {
  const table = new TrafficTable();
  const [one, two, used] = [table.enter('made up', 'me'), table.enter('made up', 'me'), table.enter('app', 'me')];
  assert.equal(one, two);
  used.counts.queries += 1;
  for (const traffic of [one, two, used]) table.leave(traffic);
  assert.deepEqual(
    [...table.all()].map(({ database }) => database),
    ['app'],
  );
});

test('more databases than anybody has are counted together', () => {
  const table = new TrafficTable();
  for (let i = 0; i < 10_050; i += 1) table.enter(`db${i}`, 'me');
  const all = [...table.all()];
  assert.equal(all.length, 10_001);
  const others = all.find(({ database }) => database === '(other)');
  assert.equal(others?.sessions, 50);
  if (others !== undefined) for (let i = 0; i < 50; i += 1) table.leave(others);
  assert.equal([...table.all()].length, 10_000);
});

test('averages are about the last one to two periods', () => {
  const { clock, table, traffic } = session();
  const periods = new TrafficPeriods(table, clock, 60_000);
  const perSecond = (): number => Math.round(periods.all().averages.queries * 100) / 100;
  traffic.counts.queries += 600;
  clock.advance(30_000);
  assert.equal(perSecond(), 20, 'before the first turn: since the start');
  clock.advance(90_000);
  assert.equal(perSecond(), 0, 'two turns later what was before is of no interest');
  traffic.counts.queries += 60;
  clock.advance(60_000);
  assert.equal(perSecond(), 1);
  clock.advance(30_000);
  assert.equal(perSecond(), 0.67);
  assert.equal(periods.all().totals.queries, 660);
  periods.close();
  assert.equal(clock.pendingTimers, 0);
});

test('a database that came in between is averaged from nothing, and times are told by unit', () => {
  const { clock, table } = session();
  const periods = new TrafficPeriods(table, clock, 60_000);
  clock.advance(120_000);
  const late = table.enter('late', 'me');
  Object.assign(late.counts, {
    queries: 4,
    queryUs: 100,
    transactions: 2,
    transactionUs: 300,
    assignments: 1,
    waitUs: 9,
  });
  clock.advance(30_000);
  const figures = periods.databases().find(({ name }) => name === 'late');
  assert.deepEqual(
    [figures?.averages.queryUs, figures?.averages.transactionUs, figures?.averages.waitUs],
    [25, 150, 9],
  );
});
