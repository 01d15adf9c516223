import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend } from '../../../../src/backend/backend.js';
import { NodeError } from '../../../../src/backend/node-error.js';
import { SwitchyardError } from '../../../../src/errors.js';
import { TransactionStatus } from '../../../../src/protocol/codes.js';
import type { Loss } from '../../../../src/relay/relay.js';
import { CloseReason } from '../../../../src/session/close-reason.js';
import { errorOf, fatalOf, judgeLoss } from '../../../../src/session/loss/loss.js';
import type { LossFacts, LossVerdict } from '../../../../src/session/loss/loss.js';
import type { UnitFacts } from '../../../../src/session/state/unit-facts.js';
import { Repeat } from '../../../../src/sql/analysis.js';
import { PinReason } from '../../../../src/sql/pin-reason.js';
import { backend as read, cString } from '../../../support/raw-messages.js';
import type { ErrorFields } from '../../../support/raw-messages.js';

/** Nothing of it is looked at. */
const backend = {} as Backend;

const farewell = {
  severity: 'FATAL',
  sqlState: '57P01',
  message: 'terminating connection due to administrator command',
  detail: null,
  hint: 'ask again',
  routine: 'ProcessInterrupts',
};

const nothing = { readies: 0, openUnit: false, isErrorSent: false };
const T = TransactionStatus.InTransaction;
const E = TransactionStatus.Failed;

/** A connection that just broke, between two units. */
function broken(more: Partial<Loss> = {}): Loss {
  return {
    backend,
    farewell: null,
    error: new Error('read ECONNRESET'),
    owed: nothing,
    canReplay: false,
    isStreamBroken: false,
    isUnitCut: false,
    status: TransactionStatus.Idle,
    ...more,
  };
}

/** It broke in the middle of units of which nothing was answered. */
function cut(more: Partial<Loss> = {}): Loss {
  return broken({ owed: { ...nothing, readies: 1 }, isUnitCut: true, canReplay: true, ...more });
}

/** The node said why. */
function stopped(more: Partial<Loss> = {}): Loss {
  return cut({ farewell, error: null, ...more });
}

/** We cut it because its node did not cancel what had run for too long. */
function overdue(more: Partial<Loss> = {}): Loss {
  return cut({ error: new SwitchyardError('query_timeout', 'canceling statement'), ...more });
}

const query: UnitFacts = {
  hasCommitted: false,
  beginning: null,
  goesOn: false,
  repeat: Repeat.IfRolledBack,
  isQuery: true,
  isRead: false,
  begins: false,
  mayCommit: false,
  endsTransaction: false,
  resets: false,
};
const write: UnitFacts = { ...query, isQuery: false };
const set: UnitFacts = { ...write, repeat: Repeat.Always };
const begin: UnitFacts = { ...set, begins: true };
const call: UnitFacts = { ...write, repeat: Repeat.Never, mayCommit: true };
const commit: UnitFacts = { ...call, endsTransaction: true };
const rollback: UnitFacts = { ...commit, mayCommit: false };

interface Case {
  readonly what: string;
  readonly loss: Loss;
  readonly facts?: Partial<LossFacts>;
  /** `keep`, `destroy`, `replay <why>`, `first <SQLSTATE> <status>`, `all <SQLSTATE>`, `lose [news] [doubt]`, `close <reason> [<pin>]`. */
  readonly verdict: string;
}

const cases: readonly Case[] = [
  { what: 'between two units nobody notices', loss: broken(), verdict: 'keep' },
  { what: 'between two units nobody notices a shutdown', loss: broken({ farewell, error: null }), verdict: 'keep' },
  {
    what: 'a connection that breaks on a stable cluster is no will of an administrator',
    loss: broken(),
    facts: { isClusterChanging: false },
    verdict: 'keep',
  },
  {
    what: 'a cut for query_timeout between two units nobody notices',
    loss: overdue({ isUnitCut: false }),
    verdict: 'keep',
  },
  {
    what: 'a read that its node did not cancel is not sent again',
    loss: overdue(),
    facts: { units: [{ ...query, isRead: true }] },
    verdict: 'first 57014 I',
  },
  {
    what: 'what a node did not cancel on a standby is not sent again either',
    loss: overdue(),
    facts: { units: [query, query], target: 'standby' },
    verdict: 'first 57014 I',
  },
  {
    what: 'a write that its node did not cancel may have been done',
    loss: overdue(),
    facts: { units: [write] },
    verdict: 'all 08007',
  },
  {
    what: 'a transaction whose statement was not cancelled is lost, and told so by its time-out',
    loss: overdue({ status: T }),
    facts: { units: [write] },
    verdict: 'lose news',
  },
  {
    what: 'the same where part of the answer is out',
    loss: overdue({ status: T, canReplay: false }),
    facts: { units: [write] },
    verdict: 'first 57014 E',
  },
  {
    what: 'a COMMIT that was not cancelled may have been done',
    loss: overdue({ status: T }),
    facts: { units: [commit] },
    verdict: 'all 08007',
  },
  {
    what: 'a session that cannot do without the backend ends by the time-out',
    loss: overdue(),
    facts: { units: [write], pin: PinReason.TemporaryObject },
    verdict: 'close query_timeout temporary_object',
  },
  {
    what: 'an administrator ends an idle session',
    loss: broken({ farewell }),
    facts: { isClusterChanging: false },
    verdict: 'close ended_by_node',
  },
  {
    what: 'an administrator ends a session in a unit that could be sent again',
    loss: stopped(),
    facts: { isClusterChanging: false, units: [write] },
    verdict: 'close ended_by_node',
  },
  {
    what: 'an administrator ends a pinned session, which is told what the node said and not its pin',
    loss: broken({ farewell }),
    facts: { isClusterChanging: false, pin: PinReason.TemporaryObject },
    verdict: 'close ended_by_node',
  },
  {
    what: 'a write that a shutdown has rolled back is sent again',
    loss: stopped(),
    facts: { units: [write] },
    verdict: 'replay rolled_back',
  },
  {
    what: 'what is pipelined behind it goes with it',
    loss: stopped({ owed: { ...nothing, readies: 3 } }),
    facts: { units: [write, begin, call, commit] },
    verdict: 'replay rolled_back',
  },
  {
    what: 'a write of a session that listens may have been committed',
    loss: stopped(),
    facts: { units: [write], isListening: true },
    verdict: 'all 08007',
  },
  {
    what: 'a write that was sent again too often',
    loss: stopped(),
    facts: { units: [write], isTired: true },
    verdict: 'first 40001 I',
  },
  {
    what: 'a query of which rows have gone out',
    loss: stopped({ canReplay: false }),
    facts: { units: [query] },
    verdict: 'first 40001 I',
  },
  {
    what: 'a procedure may have committed on its way',
    loss: stopped(),
    facts: { units: [call] },
    verdict: 'first 08007 I',
  },
  {
    what: 'a COPY that a shutdown has rolled back: its data is not here any more',
    loss: stopped({ canReplay: false }),
    facts: { units: [{ ...write, repeat: Repeat.ByClient }] },
    verdict: 'first 40001 I',
  },
  {
    what: 'what only its client may run again is not sent again though it could be',
    loss: stopped(),
    facts: { units: [{ ...write, repeat: Repeat.ByClient }] },
    verdict: 'first 40001 I',
  },
  { what: 'a write breaks off without a word', loss: cut(), facts: { units: [write] }, verdict: 'all 08007' },
  {
    what: 'one write of several that break off without a word: any of them may have been done',
    loss: cut({ owed: { ...nothing, readies: 2 } }),
    facts: { units: [set, write] },
    verdict: 'all 08007',
  },
  {
    what: 'a query on the primary breaks off without a word',
    loss: cut(),
    facts: { units: [query] },
    verdict: 'all 08007',
  },
  {
    what: 'a plain read on the primary breaks off without a word',
    loss: cut(),
    facts: { units: [{ ...query, isRead: true }] },
    verdict: 'replay query',
  },
  {
    what: 'a plain read on the primary with a write behind it',
    loss: cut({ owed: { ...nothing, readies: 2 } }),
    facts: { units: [{ ...query, isRead: true }, write] },
    verdict: 'all 08007',
  },
  {
    what: 'a query on a standby breaks off without a word',
    loss: cut(),
    facts: { units: [query], target: 'standby' },
    verdict: 'replay query',
  },
  {
    what: 'a query on a standby of which rows have gone out',
    loss: cut({ canReplay: false }),
    facts: { units: [query], target: 'standby' },
    verdict: 'first 40001 I',
  },
  {
    what: 'a query that broke its standby, and the next one',
    loss: cut(),
    facts: { units: [query], target: 'standby', isTired: true },
    verdict: 'first 40001 I',
  },
  {
    what: 'a query on a standby that calls what reaches beyond it',
    loss: cut(),
    facts: { units: [{ ...query, repeat: Repeat.Never }], target: 'standby' },
    verdict: 'all 08007',
  },
  {
    what: 'something on a standby that is no query',
    loss: cut(),
    facts: { units: [call], target: 'standby' },
    verdict: 'all 08007',
  },
  {
    what: 'BEGIN and SET do nothing that outlives their connection',
    loss: cut(),
    facts: { units: [set, begin] },
    verdict: 'replay repeatable',
  },
  {
    what: 'BEGIN and a first write in one batch break off without a word: the transaction was still open',
    loss: cut(),
    facts: { units: [{ ...write, begins: true }] },
    verdict: 'replay repeatable',
  },
  {
    what: 'the same with rows of it at the client',
    loss: cut({ canReplay: false }),
    facts: { units: [{ ...write, begins: true }] },
    verdict: 'first 40001 E',
  },
  {
    what: 'the same with its COMMIT behind it',
    loss: cut({ owed: { ...nothing, readies: 2 } }),
    facts: { units: [{ ...write, begins: true }, commit] },
    verdict: 'all 08007',
  },
  {
    what: 'a string that begins a transaction and that only its client can run again',
    loss: cut(),
    facts: { units: [{ ...write, begins: true, repeat: Repeat.ByClient }] },
    verdict: 'first 40001 E',
  },
  {
    what: 'a string that begins a transaction and cannot be sent again leaves one that has failed',
    loss: stopped(),
    facts: { units: [{ ...call, begins: true }] },
    verdict: 'first 08007 E',
  },
  { what: 'a unit of which nothing is known', loss: cut(), verdict: 'all 08007' },
  { what: 'a transaction idle in its middle', loss: broken({ status: T }), verdict: 'lose news' },
  { what: 'a transaction that had failed already', loss: broken({ status: E }), verdict: 'lose' },
  { what: 'a statement of a transaction', loss: cut({ status: T }), facts: { units: [write] }, verdict: 'lose news' },
  {
    what: 'a statement of a transaction of which rows have gone out',
    loss: cut({ status: T, canReplay: false }),
    facts: { units: [write] },
    verdict: 'first 40001 E',
  },
  {
    what: 'a COMMIT that breaks off without a word',
    loss: cut({ status: T }),
    facts: { units: [commit] },
    verdict: 'all 08007',
  },
  {
    what: 'a statement with its COMMIT behind it breaks off without a word',
    loss: cut({ status: T, owed: { ...nothing, readies: 2 } }),
    facts: { units: [write, commit] },
    verdict: 'all 08007',
  },
  {
    what: 'a COMMIT that a shutdown has rolled back',
    loss: stopped({ status: T }),
    facts: { units: [commit] },
    verdict: 'lose news',
  },
  {
    what: 'a COMMIT that was answered but for its ReadyForQuery: it has happened, whatever the node says then',
    loss: stopped({ status: T, canReplay: false }),
    facts: { units: [{ ...commit, hasCommitted: true }] },
    verdict: 'finish_first',
  },
  {
    what: 'the same without a word, and a write behind it that may have been done as well',
    loss: cut({ status: T, canReplay: false, owed: { ...nothing, readies: 2 } }),
    facts: { units: [{ ...commit, hasCommitted: true }, write] },
    verdict: 'all 08007',
  },
  {
    what: 'a ROLLBACK without a word, and a write behind it that may have been done',
    loss: cut({ status: T, owed: { ...nothing, readies: 2 } }),
    facts: { units: [rollback, write] },
    verdict: 'all 08007',
  },
  {
    what: 'the same of a transaction that had failed',
    loss: cut({ status: E, owed: { ...nothing, readies: 2 } }),
    facts: { units: [rollback, write] },
    verdict: 'all 08007',
  },
  {
    what: 'the same when the node says that it was stopped before',
    loss: stopped({ status: T, owed: { ...nothing, readies: 2 } }),
    facts: { units: [rollback, write] },
    verdict: 'lose news',
  },
  {
    what: 'a string that ends the transaction and goes on, without a word',
    loss: cut({ status: E }),
    facts: { units: [{ ...rollback, goesOn: true, mayCommit: true }] },
    verdict: 'all 08007',
  },
  {
    what: 'a string that ends the transaction and goes on, cut by a shutdown: its COMMIT may have been done',
    loss: stopped({ status: T, canReplay: false }),
    facts: { units: [{ ...commit, hasCommitted: true, goesOn: true }] },
    verdict: 'first 08007 I',
  },
  {
    what: 'a COMMIT of a session that listens',
    loss: stopped({ status: T }),
    facts: { units: [commit], isListening: true },
    verdict: 'all 08007',
  },
  {
    what: 'the COMMIT of a transaction that had failed',
    loss: cut({ status: E }),
    facts: { units: [commit] },
    verdict: 'lose',
  },
  { what: 'a ROLLBACK', loss: cut({ status: T }), facts: { units: [rollback] }, verdict: 'lose news' },
  {
    what: 'a COMMIT of which something has gone out, after a shutdown',
    loss: stopped({ status: T, canReplay: false }),
    facts: { units: [commit] },
    verdict: 'first 40001 I',
  },
  {
    what: 'the COMMIT of a transaction on a standby',
    loss: cut({ status: T }),
    facts: { units: [commit], target: 'standby' },
    verdict: 'lose news',
  },
  {
    what: 'a session in the way of replay, idle in its transaction',
    loss: broken({ farewell: { ...farewell, sqlState: '40001' }, status: T }),
    facts: { target: 'standby' },
    verdict: 'lose news',
  },
  {
    what: 'an idle session is pinned',
    loss: broken(),
    facts: { pin: PinReason.TemporaryObject },
    verdict: 'close cannot_move temporary_object',
  },
  {
    what: 'a session is pinned and in a transaction: the pin is the lasting reason',
    loss: cut({ status: T }),
    facts: { pin: PinReason.AdvisoryLock },
    verdict: 'close cannot_move advisory_lock',
  },
  {
    what: 'the node ends this very session in its transaction while the cluster changes',
    loss: broken({ farewell: { ...farewell, sqlState: '25P03' }, status: T }),
    verdict: 'close ended_by_node',
  },
  {
    what: 'the node ends an idle session while the cluster changes',
    loss: broken({ farewell: { ...farewell, sqlState: '57P05' } }),
    verdict: 'keep',
  },
  {
    what: 'the node ends this very statement',
    loss: cut({ farewell: { ...farewell, sqlState: '25P04' } }),
    facts: { units: [write] },
    verdict: 'all 25P04',
  },
  { what: 'a message has gone out in part', loss: cut({ isStreamBroken: true }), verdict: 'destroy' },
  {
    what: 'a message has gone out in part, whatever else is true',
    loss: stopped({ isStreamBroken: true, status: T }),
    facts: { pin: PinReason.AdvisoryLock, isClusterChanging: false },
    verdict: 'destroy',
  },
];

function describe(verdict: LossVerdict): string {
  switch (verdict.kind) {
    case 'replay':
      return `replay ${verdict.why}`;
    case 'fail_first':
      return `first ${verdict.sqlState} ${String.fromCharCode(verdict.status)}`;
    case 'fail_all':
      return `all ${verdict.sqlState}`;
    case 'lose_transaction':
      return `lose${verdict.words.news === null ? '' : ' news'}${verdict.words.onCommit === null ? '' : ' doubt'}`;
    case 'close':
      return ['close', verdict.reason, ...(verdict.pin === null ? [] : [verdict.pin])].join(' ');
    default:
      return verdict.kind;
  }
}

function judge(loss: Loss, facts: Partial<LossFacts> = {}): LossVerdict {
  return judgeLoss(loss, {
    pin: null,
    target: 'primary',
    isClusterChanging: true,
    isListening: false,
    isTired: false,
    units: [],
    ...facts,
  });
}

function errorIn(message: Buffer): ErrorFields {
  assert.equal(message.toString('latin1', 0, 1), 'E');
  assert.equal(message.readUInt32BE(1), message.length - 1);
  return read.errorFields(message.subarray(5));
}

for (const { what, loss, facts, verdict } of cases) {
  test(`${what}: ${verdict}`, () => {
    const judged = judge(loss, facts);
    assert.equal(describe(judged), verdict);
    if (judged.kind === 'fail_first' || judged.kind === 'fail_all')
      assert.equal(errorIn(judged.error).severity, 'ERROR');
    if (judged.kind === 'close') assert.equal(errorIn(judged.error).severity, 'FATAL');
  });
}

function errorOfVerdict(verdict: LossVerdict): ErrorFields {
  assert.ok('error' in verdict);
  return errorIn(verdict.error);
}

test('a unit that just broke off is in doubt, and the error says so', () => {
  const error = errorOfVerdict(judge(cut(), { units: [write] }));
  assert.equal(error.message, 'connection to the node was lost while a statement was under way: read ECONNRESET');
  assert.equal(error.detail, 'Whether it took effect is unknown. The session goes on.');
  const inCommit = errorOfVerdict(judge(cut({ status: T }), { units: [commit] }));
  assert.match(inCommit.message, /while a COMMIT was under way/);
});

test('a transaction that is gone says so as one that should be run again', () => {
  const verdict = judge(stopped({ status: T }), { units: [write] });
  assert.ok(verdict.kind === 'lose_transaction' && verdict.words.news !== null);
  const error = errorIn(verdict.words.news);
  assert.deepEqual(
    [error.severity, error.code, error.hint],
    ['ERROR', '40001', 'Send ROLLBACK, and run the transaction again.'],
  );
  assert.match(error.message, /rolled back because its node is no longer available: terminating connection/);
});

test('who lost a backend by query_timeout hears 57014 wherever it is known what became of the statement', () => {
  const lost = judge(overdue({ status: T }), { units: [write] });
  assert.ok(lost.kind === 'lose_transaction' && lost.words.news !== null);
  const inside = errorIn(lost.words.news);
  assert.deepEqual([inside.severity, inside.code, inside.message], ['ERROR', '57014', 'canceling statement']);
  assert.match(inside.detail ?? '', /did not cancel it in time.* rolled back; the session goes on/);
  const pinned = errorOfVerdict(judge(overdue(), { pin: PinReason.AdvisoryLock }));
  assert.deepEqual([pinned.severity, pinned.code], ['FATAL', '57014']);
  assert.match(pinned.detail ?? '', /it may hold a session advisory lock/);
});

test('a session that cannot move is told why, in one sentence', () => {
  const pinned = errorOfVerdict(judge(broken(), { pin: PinReason.AdvisoryLock }));
  assert.equal(pinned.code, '57P01');
  assert.equal(pinned.message, 'terminating connection because its node is no longer available: read ECONNRESET');
  assert.equal(pinned.detail, 'The session could not be moved to another node: it may hold a session advisory lock.');
});

test('what an administrator has ended is passed on as the node said it', () => {
  const verdict = judge(broken({ farewell: { ...farewell, detail: 'why' } }), { isClusterChanging: false });
  const error = errorOfVerdict(verdict);
  assert.deepEqual(
    [error.severity, error.code, error.message, error.detail, error.hint],
    ['FATAL', '57P01', farewell.message, 'why', 'ask again'],
  );
  assert.ok(verdict.kind === 'close' && verdict.reason === CloseReason.EndedByNode);
});

test('errors of ours, of a node and of the machine become messages, without a secret of the program', () => {
  const own = new SwitchyardError('no_primary', 'there is no leader', {
    detail: 'd',
    hint: 'h',
    cause: new Error('secret'),
  });
  assert.deepEqual(
    [...errorIn(errorOf(own)).all.values()],
    ['ERROR', 'ERROR', '57P03', 'there is no leader', 'd', 'h'],
  );
  assert.equal(errorIn(fatalOf(own)).severity, 'FATAL');

  const body = Buffer.concat([
    ...['SFATAL', 'VFATAL', 'C3D000', 'Mno such database', 'Fpostinit.c'].map(cString),
    Buffer.from([0]),
  ]);
  const fromNode = errorIn(errorOf(NodeError.read(body, 0, body.length)));
  assert.deepEqual([...fromNode.all.values()], ['ERROR', 'ERROR', '3D000', 'no such database']);

  assert.deepEqual([...errorIn(fatalOf(new Error('boom'))).all.values()], ['FATAL', 'FATAL', 'XX000', 'boom']);
});
