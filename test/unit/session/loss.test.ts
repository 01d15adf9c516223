import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Backend } from '../../../src/backend/backend.js';
import { NodeError } from '../../../src/backend/node-error.js';
import { SwitchyardError } from '../../../src/errors.js';
import type { Loss } from '../../../src/relay/relay.js';
import { CloseReason } from '../../../src/session/close-reason.js';
import { errorOf, fatalOf, judgeLoss } from '../../../src/session/loss.js';
import type { LossVerdict } from '../../../src/session/loss.js';
import { PinReason } from '../../../src/sql/pin-reason.js';
import { backend as read, cString } from '../../support/raw-messages.js';
import type { ErrorFields } from '../../support/raw-messages.js';

/** Nothing of it is looked at. */
const backend = {} as Backend;

const farewell = {
  severity: 'FATAL',
  sqlState: '57P01',
  message: 'terminating connection due to administrator command',
  detail: null,
  hint: 'ask again',
};

/** A connection that just broke, between two units. */
function broken(more: Partial<Loss> = {}): Loss {
  return {
    backend,
    farewell: null,
    error: new Error('read ECONNRESET'),
    owed: { readies: 0, openUnit: false, isErrorSent: false },
    isStreamBroken: false,
    isUnitCut: false,
    wasInTransaction: false,
    ...more,
  };
}

function cut(readies: number, openUnit: boolean, more: Partial<Loss> = {}): Loss {
  return broken({ owed: { readies, openUnit, isErrorSent: false }, isUnitCut: true, ...more });
}

interface Case {
  readonly what: string;
  readonly loss: Loss;
  readonly pin?: PinReason;
  readonly mayBegin?: boolean;
  readonly isStable?: boolean;
  /** `keep`, `destroy`, `fail <SQLSTATE>`, or `close <reason> [<pin>]`. */
  readonly verdict: string;
}

const cases: readonly Case[] = [
  { what: 'between two units nobody notices', loss: broken(), verdict: 'keep' },
  { what: 'between two units nobody notices a shutdown', loss: broken({ farewell, error: null }), verdict: 'keep' },
  {
    what: 'a connection that breaks on a stable cluster is no will of an administrator',
    loss: broken(),
    isStable: true,
    verdict: 'keep',
  },
  {
    what: 'an administrator ends an idle session',
    loss: broken({ farewell }),
    isStable: true,
    verdict: 'close ended_by_node',
  },
  {
    what: 'an administrator ends a session in a unit',
    loss: cut(1, false, { farewell }),
    isStable: true,
    verdict: 'close ended_by_node',
  },
  {
    what: 'an administrator ends a pinned session, which is told what the node said and not its pin',
    loss: broken({ farewell }),
    pin: PinReason.Listen,
    isStable: true,
    verdict: 'close ended_by_node',
  },
  { what: 'a simple query is cut', loss: cut(1, false), verdict: 'fail 08007' },
  { what: 'a simple query is cut by a shutdown', loss: cut(1, false, { farewell }), verdict: 'fail 57P01' },
  { what: 'a simple query is cut on a stable cluster', loss: cut(1, false), isStable: true, verdict: 'fail 08007' },
  { what: 'a batch is cut before its Sync was sent', loss: cut(0, true), verdict: 'fail 08007' },
  { what: 'a unit is cut of which not all was sent', loss: cut(0, false), verdict: 'fail 08007' },
  { what: 'two queries are cut', loss: cut(2, false), verdict: 'close cannot_move' },
  { what: 'a query and the beginning of a batch are cut', loss: cut(1, true), verdict: 'close cannot_move' },
  {
    what: 'a transaction is open',
    loss: broken({ wasInTransaction: true }),
    verdict: 'close cannot_move open_transaction',
  },
  {
    what: 'a unit is cut in a transaction',
    loss: cut(1, false, { wasInTransaction: true }),
    verdict: 'close cannot_move open_transaction',
  },
  {
    what: 'a unit is cut that begins a transaction',
    loss: cut(1, false),
    mayBegin: true,
    verdict: 'close cannot_move open_transaction',
  },
  {
    what: 'nothing is cut though something that begins a transaction was noted',
    loss: broken(),
    mayBegin: true,
    verdict: 'keep',
  },
  {
    what: 'an idle session is pinned',
    loss: broken(),
    pin: PinReason.TemporaryObject,
    verdict: 'close cannot_move temporary_object',
  },
  {
    what: 'a session is pinned and in a transaction: the pin is the lasting reason',
    loss: cut(2, true, { wasInTransaction: true }),
    pin: PinReason.AdvisoryLock,
    verdict: 'close cannot_move advisory_lock',
  },
  {
    what: 'the node ends this very session in its transaction while the cluster changes',
    loss: broken({ farewell: { ...farewell, sqlState: '25P03' }, wasInTransaction: true }),
    verdict: 'close ended_by_node',
  },
  {
    what: 'the node ends this very session in a pipeline while the cluster changes',
    loss: cut(2, false, { farewell: { ...farewell, sqlState: '40001' } }),
    verdict: 'close ended_by_node',
  },
  {
    what: 'the node stops under a transaction',
    loss: broken({ farewell, wasInTransaction: true }),
    verdict: 'close cannot_move open_transaction',
  },
  { what: 'a message has gone out in part', loss: cut(1, false, { isStreamBroken: true }), verdict: 'destroy' },
  {
    what: 'a message has gone out in part, whatever else is true',
    loss: cut(2, true, { isStreamBroken: true, farewell, wasInTransaction: true }),
    pin: PinReason.Listen,
    isStable: true,
    verdict: 'destroy',
  },
];

function describe(verdict: LossVerdict): string {
  switch (verdict.kind) {
    case 'fail':
      return `fail ${verdict.sqlState}`;
    case 'close':
      return ['close', verdict.reason, ...(verdict.pin === null ? [] : [verdict.pin])].join(' ');
    default:
      return verdict.kind;
  }
}

function errorIn(message: Buffer): ErrorFields {
  assert.equal(message.toString('latin1', 0, 1), 'E');
  assert.equal(message.readUInt32BE(1), message.length - 1);
  return read.errorFields(message.subarray(5));
}

for (const { what, loss, pin, mayBegin, isStable, verdict } of cases) {
  test(`${what}: ${verdict}`, () => {
    const judged = judgeLoss(loss, pin ?? null, mayBegin ?? false, isStable !== true);
    assert.equal(describe(judged), verdict);
    if (judged.kind === 'fail') assert.equal(errorIn(judged.error).severity, 'ERROR');
    if (judged.kind === 'close') assert.equal(errorIn(judged.error).severity, 'FATAL');
  });
}

function errorOfVerdict(verdict: LossVerdict): ErrorFields {
  assert.ok(verdict.kind === 'fail' || verdict.kind === 'close');
  return errorIn(verdict.error);
}

test('a unit that just broke off is in doubt, and the error says so', () => {
  const error = errorOfVerdict(judgeLoss(cut(1, false), null, false, true));
  assert.equal(error.code, '08007');
  assert.equal(error.message, 'connection to the node was lost while a statement was under way: read ECONNRESET');
  assert.equal(error.detail, 'Whether the statement took effect is unknown. The session goes on.');
});

test('a unit that the node ended carries what the node said', () => {
  const error = errorOfVerdict(judgeLoss(cut(1, false, { farewell, error: null }), null, false, true));
  assert.equal(error.code, '57P01');
  assert.equal(error.message, farewell.message);
  assert.equal(error.detail, 'The node ended the statement before it was complete. The session goes on.');
});

test('a session that cannot move is told why, in one sentence', () => {
  const pinned = errorOfVerdict(judgeLoss(broken(), PinReason.Listen, false, true));
  assert.equal(pinned.code, '57P01');
  assert.equal(pinned.message, 'terminating connection because its node is no longer available: read ECONNRESET');
  assert.equal(pinned.detail, 'The session could not be moved to another node: it listens for notifications.');
  const pipelined = errorOfVerdict(judgeLoss(cut(2, false, { error: null }), null, false, true));
  assert.match(pipelined.message, /the node closed the connection$/);
  assert.equal(pipelined.detail, 'The session could not be moved to another node: several statements were under way.');
});

test('what an administrator has ended is passed on as the node said it', () => {
  const verdict = judgeLoss(broken({ farewell: { ...farewell, detail: 'why' } }), null, false, false);
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
  const fromNode = errorIn(errorOf(new NodeError(body, 0, body.length)));
  assert.deepEqual([...fromNode.all.values()], ['ERROR', 'ERROR', '3D000', 'no such database']);

  assert.deepEqual([...errorIn(fatalOf(new Error('boom'))).all.values()], ['FATAL', 'FATAL', 'XX000', 'boom']);
});
