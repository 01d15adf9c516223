import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Overrun, SessionWatch } from '../../../../src/session/timeouts/session-watch.js';
import type { TimeLimits } from '../../../../src/session/timeouts/time-limits.js';
import { Wait } from '../../../../src/session/wait.js';
import { WatchedSession } from './watched-session.js';

const off: TimeLimits = {
  clientIdleMs: 0,
  idleTransactionMs: 0,
  transactionMs: 0,
  queryMs: 0,
  queryCancelMs: 1000,
  tcpUserMs: 0,
};
const SECONDS = 1000;

let session: WatchedSession;
let watch: SessionWatch;
let nowS: number;

beforeEach(() => {
  session = new WatchedSession();
  watch = new SessionWatch();
  nowS = 0;
});

/** Looks once a second; gives what came of it, and when. */
function lookFor(seconds: number, limits: Partial<TimeLimits>): string {
  for (let left = seconds; left > 0; left -= 1) {
    const overrun = watch.look(session, { ...off, ...limits }, nowS * SECONDS);
    if (overrun !== null) return `${overrun} at ${nowS}`;
    nowS += 1;
  }
  return '';
}

test('limits that are off end nothing', () => {
  session.attach();
  session.isInTransaction = true;
  session.client.pendingBytes = 5;
  assert.equal(lookFor(1000, {}), '');
  session.sends('Q');
  assert.equal(lookFor(1000, {}), '');
});

test('a silent client is idle for so long as nothing was heard of it', () => {
  assert.equal(lookFor(5, { clientIdleMs: 5 * SECONDS }), '');
  session.client.bytesRead += 1;
  assert.equal(lookFor(100, { clientIdleMs: 5 * SECONDS }), `${Overrun.ClientIdle} at 10`);
});

test('the time while a session waits for us is not its own, and afterwards it begins anew', () => {
  session.attach();
  assert.equal(lookFor(4, { clientIdleMs: 5 * SECONDS }), '');
  session.wait = Wait.Hold;
  session.client.bytesRead += 10;
  assert.equal(lookFor(100, { clientIdleMs: 5 * SECONDS }), '');
  session.wait = null;
  assert.equal(lookFor(100, { clientIdleMs: 5 * SECONDS }), `${Overrun.ClientIdle} at 109`);
});

test('a question of ours in between does not make a silent client any less idle', () => {
  const { backend } = session.attach();
  assert.equal(lookFor(4, { clientIdleMs: 5 * SECONDS }), '');
  backend.tracker.sent('Q'.charCodeAt(0), true);
  assert.equal(lookFor(1, { clientIdleMs: 5 * SECONDS }), '');
  session.hears('C', 'Z');
  assert.equal(lookFor(1, { clientIdleMs: 5 * SECONDS }), `${Overrun.ClientIdle} at 5`);
});

test('idle in a transaction has a limit of its own', () => {
  session.attach();
  session.isInTransaction = true;
  assert.equal(lookFor(20, { clientIdleMs: 2 * SECONDS }), '');
  assert.equal(lookFor(20, { idleTransactionMs: 3 * SECONDS }), `${Overrun.IdleTransaction} at 20`);
});

test('a unit has a time, and the next one its own', () => {
  session.attach();
  const limits = { queryMs: 3 * SECONDS };
  for (let n = 0; n < 10; n += 1) {
    session.sends('Q');
    assert.equal(lookFor(3, limits), '');
    session.hears('C', 'Z');
  }
  session.sends('Q');
  assert.equal(lookFor(10, limits), `${Overrun.Query} at 33`);
});

test('pipelined units each have their time, from the end of the one before', () => {
  session.attach();
  const limits = { queryMs: 3 * SECONDS };
  session.sends('Q', 'Q');
  assert.equal(lookFor(3, limits), '');
  session.hears('C', 'Z');
  session.state.oldestUnit = { ...session.state.oldestUnit } as typeof session.state.oldestUnit;
  assert.equal(lookFor(10, limits), `${Overrun.Query} at 6`);
});

test('a unit that comes to another node begins anew there', () => {
  session.attach();
  const limits = { queryMs: 3 * SECONDS };
  session.sends('Q');
  assert.equal(lookFor(3, limits), '');
  const { oldestUnit } = session.state;
  session.attach();
  session.sends('Q');
  session.state.oldestUnit = oldestUnit;
  assert.equal(lookFor(10, limits), `${Overrun.Query} at 6`);
});

test('a node may take as long for what we ask as for a unit, from the last that it said', () => {
  const { backend, wire } = session.attach();
  const limits = { queryMs: 3 * SECONDS, clientIdleMs: 2 * SECONDS, transactionMs: 2 * SECONDS };
  backend.tracker.sent('Q'.charCodeAt(0), true);
  assert.equal(lookFor(3, limits), '');
  wire.bytesRead += 1;
  assert.equal(lookFor(10, limits), `${Overrun.OwnQuery} at 6`);
});

test('a transaction has a time whatever happens in it, and ends by its node saying so', () => {
  const { backend } = session.attach();
  const limits = { transactionMs: 5 * SECONDS };
  session.isInTransaction = true;
  assert.equal(lookFor(4, limits), '');
  // COMMIT and BEGIN between two looks.
  backend.transactionsEnded += 1;
  assert.equal(lookFor(4, limits), '');
  session.sends('Q');
  assert.equal(lookFor(4, limits), `${Overrun.Transaction} at 9`);
});

test('a single statement is a transaction too, and a boundary ends it', () => {
  const { backend } = session.attach();
  const limits = { transactionMs: 5 * SECONDS };
  session.sends('Q');
  assert.equal(lookFor(4, limits), '');
  session.hears('C', 'Z');
  backend.transactionsEnded += 1;
  assert.equal(lookFor(50, limits), '');
  session.sends('Q');
  assert.equal(lookFor(50, limits), `${Overrun.Transaction} at 59`);
});

test('transactions on two backends are two, though both have counted the same', () => {
  session.attach();
  session.isInTransaction = true;
  assert.equal(lookFor(4, { transactionMs: 5 * SECONDS }), '');
  session.attach();
  assert.equal(lookFor(50, { transactionMs: 5 * SECONDS }), `${Overrun.Transaction} at 9`);
});

test('a peer is stuck when it has taken nothing for so long, and not when it takes a little', () => {
  const limits = { tcpUserMs: 3 * SECONDS };
  const { client } = session;
  client.bytesWritten = 1000;
  client.pendingBytes = 500;
  assert.equal(lookFor(3, limits), '');
  client.pendingBytes = 400;
  assert.equal(lookFor(3, limits), '');
  client.pendingBytes = 0;
  assert.equal(lookFor(30, limits), '');
  client.pendingBytes = 500;
  client.bytesWritten = 1600;
  assert.equal(lookFor(3, limits), '');
  client.pendingBytes += 100;
  client.bytesWritten += 100;
  assert.equal(lookFor(30, limits), `${Overrun.ClientStuck} at 39`);
});

test('so is a node, in the middle of whatever it does', () => {
  const { wire } = session.attach();
  session.sends('Q');
  wire.pendingBytes = 10;
  wire.bytesWritten = 20;
  assert.equal(lookFor(30, { tcpUserMs: 3 * SECONDS }), `${Overrun.NodeStuck} at 3`);
});
