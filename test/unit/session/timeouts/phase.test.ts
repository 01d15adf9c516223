import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Phase, phaseOf, runOf } from '../../../../src/session/timeouts/phase.js';
import { Wait } from '../../../../src/session/wait.js';
import { unit, WatchedSession } from './watched-session.js';

let session: WatchedSession;

beforeEach(() => {
  session = new WatchedSession();
});

test('a session at a boundary is idle, with a backend or without', () => {
  assert.equal(phaseOf(session), Phase.Idle);
  session.attach();
  assert.equal(phaseOf(session), Phase.Idle);
});

test('a session that waits for us is not idle', () => {
  session.wait = Wait.Hold;
  assert.equal(phaseOf(session), Phase.Exempt);
  session.wait = null;
  session.isWaiting = true;
  assert.equal(phaseOf(session), Phase.Exempt);
});

test('who listens may be silent, but not in a transaction', () => {
  session.state.isListening = true;
  assert.equal(phaseOf(session), Phase.Exempt);
  session.isInTransaction = true;
  assert.equal(phaseOf(session), Phase.IdleInTransaction);
});

test('a transaction is open until its client has ended it, also where its node is gone', () => {
  session.isTransactionLost = true;
  assert.equal(phaseOf(session), Phase.IdleInTransaction);
});

test('a replication connection is nothing to time limits', () => {
  const walsender = Object.assign(new WatchedSession(), { identity: { isReplication: true } });
  assert.equal(phaseOf(walsender), Phase.Exempt);
  walsender.attach();
  walsender.sends('Q');
  assert.equal(phaseOf(walsender), Phase.Exempt);
});

test('a unit runs from its first message to its end, whatever waits behind it', () => {
  session.attach();
  session.sends('Q');
  assert.equal(phaseOf(session), Phase.Running);
  session.wait = Wait.Boundary;
  session.isWaiting = true;
  assert.equal(phaseOf(session), Phase.Running);
  session.wait = null;
  session.isWaiting = false;
  session.hears('C', 'Z');
  assert.equal(phaseOf(session), Phase.Idle);
});

test('what we ask a node ourselves is not the running of a unit', () => {
  const { backend } = session.attach();
  backend.tracker.sent('Q'.charCodeAt(0), true);
  assert.equal(phaseOf(session), Phase.Own);
});

test('a unit of which all is answered that was sent waits for its client', () => {
  session.attach();
  session.sends('P', 'B', 'E');
  assert.equal(phaseOf(session), Phase.Running);
  session.hears('1', '2', 's');
  assert.equal(phaseOf(session), Phase.IdleInTransaction);
  session.sends('S');
  assert.equal(phaseOf(session), Phase.Running);
});

test('a COPY waits for its client as long as its node takes everything, and runs where it does not, or has all', () => {
  const { wire } = session.attach();
  session.sends('Q');
  session.hears('G');
  assert.equal(phaseOf(session), Phase.IdleInTransaction);
  wire.pendingBytes = 10;
  assert.equal(phaseOf(session), Phase.Running);
  wire.pendingBytes = 0;
  session.sends('c');
  session.isUnitOpen = false;
  assert.equal(phaseOf(session), Phase.Running);
});

test('each unit is another run, and so is each word of a client that has not said all of one', () => {
  session.attach();
  session.sends('Q');
  const first = runOf(session);
  assert.equal(runOf(session), first);
  session.state.oldestUnit = unit();
  assert.notEqual(runOf(session), first);
  session.hears('C', 'Z');
  session.sends('P', 'B', 'E');
  const open = runOf(session);
  session.client.bytesRead += 1;
  assert.notEqual(runOf(session), open);
  session.sends('S');
  assert.equal(runOf(session), session.state.oldestUnit);
});

test('each byte that a node takes of a COPY is another run', () => {
  const { wire } = session.attach();
  session.sends('Q');
  session.hears('G');
  wire.pendingBytes = 50;
  wire.bytesWritten = 60;
  const stuck = runOf(session);
  wire.bytesWritten = 70;
  wire.pendingBytes = 60;
  assert.equal(runOf(session), stuck, 'more came to wait, nothing was taken');
  wire.pendingBytes = 59;
  assert.notEqual(runOf(session), stuck);
});
