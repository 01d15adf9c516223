import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OUTSTANDING_MAX, RequestTracker } from '../../../src/protocol/request-tracker.js';
import type { AbandonedRequests, Reply } from '../../../src/protocol/request-tracker.js';

/** A tracker that was told of these messages, by their type bytes: of a client, or in brackets of the proxy: `PBES[Q]`. */
function trackerOf(sent: string): RequestTracker {
  const tracker = new RequestTracker();
  send(tracker, sent);
  return tracker;
}

function send(tracker: RequestTracker, sent: string): void {
  let isOwn = false;
  for (const c of sent) {
    if (c === '[' || c === ']') isOwn = c === '[';
    else tracker.sent(c.charCodeAt(0), isOwn);
  }
}

const letters: Readonly<Record<Reply, string>> = { 0: 'f', 1: 's', 2: 'u', 3: '!' };

/** The verdicts on these messages of a backend: f(orward), s(wallow), u(nsolicited), !(violation). */
function hear(tracker: RequestTracker, types: string): string {
  return Array.from(types, (type) => letters[tracker.received(type.charCodeAt(0))]).join('');
}

const conversations: readonly (readonly [what: string, sent: string, heard: string])[] = [
  ['a simple query', 'Q', 'TDDCZ'],
  ['a query of two statements', 'Q', 'TDCTDCZ'],
  ['an empty query', 'Q', 'IZ'],
  ['a query that fails', 'Q', 'TDEZ'],
  ['a batch', 'PBDES', '12TDDCZ'],
  ['Describe of a statement without rows', 'PDS', '1tnZ'],
  ['an empty statement', 'PBDES', '12nIZ'],
  ['a suspended portal, and its rest', 'PBEEES', '12DsDsDCZ'],
  ['Close', 'CS', '3Z'],
  ['a batch that fails in its middle', 'PBEPBES', '12C1EZ'],
  ['a commit that fails', 'PBES', '12CEZ'],
  ['two batches, the first of which fails', 'PBESPBES', '1EZ12CZ'],
  ['Flush', 'PHBHEHS', '12CZ'],
  ['a function call', 'F', 'VZ'],
  ['a function call that fails', 'F', 'EZ'],
  ['COPY to the client', 'Q', 'HdddcCZ'],
  ['COPY to the client in a batch', 'PBES', '12HdddcCZ'],
  ['COPY from the client', 'Qddc', 'GCZ'],
  ['COPY from the client that it ends itself', 'Qddf', 'GEZ'],
  ['COPY from the client in a batch', 'PBEddcS', '12GCZ'],
  ['COPY that fails before it begins', 'PBEddcS', '12EZ'],
  ['COPY with a Sync that it ignores, as libpq sends it', 'PBESddcS', '12GCZ'],
  ['COPY with a Sync that it ignores, which is ended by the client', 'PBESddfS', '12GEZ'],
  ['COPY to a view, whose Sync is not ignored', 'PBES', '12GEZ'],
  ['COPY to a view, whose Sync is not ignored, with what libpq then sends', 'PBEScS', '12GEZZ'],
  ['COPY twice in one query', 'Qdcdc', 'GCGCZ'],
  ['COPY twice in one query with early Syncs', 'QSdcSdc', 'GCGCZ'],
  ['a replication stream', 'Qddc', 'WddcCCZ'],
  ['the end of data of a COPY that is over', 'cfQ', 'TDCZ'],
];

for (const [what, sent, heard] of conversations) {
  test(`forwards every answer to ${what} and owes nothing afterwards`, () => {
    const tracker = trackerOf(sent);
    assert.equal(hear(tracker, heard), 'f'.repeat(heard.length));
    assert.ok(tracker.isEmpty);
    assert.ok(!tracker.isUnitOpen);
    send(tracker, 'PBESQ');
    assert.equal(hear(tracker, '12CZTDCZ'), 'f'.repeat(8));
    assert.ok(tracker.isEmpty);
  });

  // We never send a COPY FROM STDIN.
  if (/[dc]/.test(sent) || heard.includes('G')) continue;
  test(`swallows every answer to ${what} when it was a question of ours`, () => {
    const tracker = trackerOf(`Q[${sent}]PS`);
    assert.equal(hear(tracker, `CZ${heard}1Z`), `ff${'s'.repeat(heard.length)}ff`);
    assert.ok(tracker.isEmpty);
  });
}

const answers: Readonly<Record<string, string>> = {
  Q: 'TDCIHWdcGEZ',
  P: '1E',
  B: '2E',
  D: 'tTnE',
  E: 'DCIsHWdcGE',
  C: '3E',
  S: 'EZ',
  F: 'VEZ',
};
const anyTime = 'NAS';
const backendTypes = 'RK23CWdcGHDIEVvnNAtS1sZT';

for (const [sent, allowed] of Object.entries(answers)) {
  test(`takes anything for a violation that cannot answer ${sent}`, () => {
    for (const type of backendTypes) {
      const verdict = hear(trackerOf(sent), type);
      const expected = anyTime.includes(type) ? 'u' : allowed.includes(type) ? 'f' : '!';
      assert.equal(verdict, expected, `${type} as an answer to ${sent}`);
    }
  });
}

test('takes anything for a violation when nothing was asked, but for what a backend says on its own', () => {
  for (const type of backendTypes) {
    const verdict = hear(trackerOf(''), type);
    assert.equal(verdict, 'NASE'.includes(type) ? 'u' : '!', type);
  }
});

test('takes an answer after the ReadyForQuery for a violation', () => {
  const tracker = trackerOf('Q');
  assert.equal(hear(tracker, 'CZ'), 'ff');
  assert.equal(hear(tracker, 'C'), '!');
  assert.equal(hear(tracker, 'Z'), '!');
});

test('a notice belongs to the request that is being worked on, a parameter or a notification to nobody', () => {
  const tracker = trackerOf('[Q]Q');
  assert.equal(hear(tracker, 'NSACZ'), 'suuss');
  assert.equal(hear(tracker, 'NSACZN'), 'uuuffu');
});

test('after an error everything up to the next Sync is not answered, whoever sends it', () => {
  const tracker = trackerOf('PBE');
  assert.equal(hear(tracker, '1E'), 'ff');
  assert.ok(tracker.isEmpty);
  send(tracker, 'PBEHQFCD');
  assert.ok(tracker.isEmpty);
  send(tracker, 'SQ');
  assert.equal(hear(tracker, 'ZCZ'), 'fff');
});

test('the unit is open while an ignored Sync is all that was sent behind a COPY that ended well', () => {
  const tracker = trackerOf('PBES');
  assert.equal(hear(tracker, '12G'), 'fff');
  send(tracker, 'ddc');
  assert.equal(hear(tracker, 'C'), 'f');
  assert.ok(tracker.isEmpty);
  assert.ok(tracker.isUnitOpen, 'its transaction ends with a Sync that is still to come');
  send(tracker, 'S');
  assert.ok(!tracker.isUnitOpen);
  assert.equal(hear(tracker, 'Z'), 'f');
});

test('the unit is open as soon as a COPY has begun that ignores the only Sync behind it', () => {
  const tracker = trackerOf('PBES');
  assert.equal(tracker.isUnitOpen, false);
  assert.equal(hear(tracker, '12G'), 'fff');
  assert.equal(tracker.isUnitOpen, true);
  send(tracker, 'dc');
  assert.equal(tracker.isUnitOpen, true);
  send(tracker, 'S');
  assert.equal(tracker.isUnitOpen, false);
  assert.equal(hear(tracker, 'CZ'), 'ff');
});

test('the unit is open while it is in doubt whether the Sync of a failed COPY was ignored', () => {
  const ignored = trackerOf('PBES');
  assert.equal(hear(ignored, '12GE'), 'ffff');
  assert.ok(ignored.isUnitOpen);
  send(ignored, 'cS');
  assert.ok(!ignored.isUnitOpen);

  const heeded = trackerOf('PBES');
  assert.equal(hear(heeded, '12GEZ'), 'fffff');
  assert.ok(!heeded.isUnitOpen);
});

test('the doubt about a Sync ends with the next answer', () => {
  const tracker = trackerOf('PBEScS');
  assert.equal(hear(tracker, '12GEZ'), 'fffff');
  send(tracker, 'Q');
  assert.equal(hear(tracker, 'Z'), 'f', 'the late one');
  assert.ok(!tracker.isEmpty);
  assert.equal(hear(tracker, 'CZ'), 'ff');
  assert.equal(hear(tracker, 'Z'), '!');

  const other = trackerOf('PBEScS');
  hear(other, '12GEZ');
  send(other, 'Q');
  assert.equal(hear(other, 'CZ'), 'ff', 'it was ignored');
  assert.equal(hear(other, 'Z'), '!');
});

test('a late ReadyForQuery in front of the answer to a question of ours is swallowed', () => {
  const tracker = trackerOf('PBEScS');
  hear(tracker, '12GEZ');
  send(tracker, '[PS]');
  assert.equal(hear(tracker, 'Z1Z'), 'sss');
  assert.ok(tracker.isEmpty);
});

test('knows when the backend waits for COPY data', () => {
  const tracker = trackerOf('Q');
  assert.ok(!tracker.isCopyIn);
  hear(tracker, 'G');
  assert.ok(tracker.isCopyIn);
  send(tracker, 'dc');
  hear(tracker, 'C');
  assert.ok(!tracker.isCopyIn);
});

test('is full at its bound, and further ends of COPY do not make it grow', () => {
  const tracker = new RequestTracker();
  const sync = 'S'.charCodeAt(0);
  for (let i = 0; i < OUTSTANDING_MAX; i += 1) tracker.sent(sync, false);
  assert.ok(tracker.isFull);
  send(tracker, 'cf');
  assert.equal(tracker.length, OUTSTANDING_MAX);
  assert.equal(hear(tracker, 'Z'), 'f');
  assert.ok(!tracker.isFull);
});

test('keeps the order over many turns of its ring', () => {
  const tracker = new RequestTracker();
  for (let i = 0; i < 1000; i += 1) {
    send(tracker, i % 3 === 0 ? '[PS]Q' : 'QPS');
    assert.equal(hear(tracker, i % 3 === 0 ? '1ZCZ' : 'CZ1Z'), i % 3 === 0 ? 'ssff' : 'ffff');
    if (i % 10 === 0) send(tracker, 'PBDES'.repeat(7));
    if (i % 10 === 0) assert.equal(hear(tracker, '12nCZ'.repeat(7)), 'f'.repeat(35));
    assert.ok(tracker.isEmpty);
  }
});

const lost: readonly (readonly [when: string, sent: string, heard: string, owed: AbandonedRequests])[] = [
  ['nothing is owed', '', '', { readies: 0, openUnit: false, isErrorSent: false }],
  ['a query has not been answered', 'Q', '', { readies: 1, openUnit: false, isErrorSent: false }],
  ['a query has been answered in part', 'Q', 'TDD', { readies: 1, openUnit: false, isErrorSent: false }],
  ['a query has failed', 'Q', 'E', { readies: 1, openUnit: false, isErrorSent: true }],
  ['a query is over', 'Q', 'EZ', { readies: 0, openUnit: false, isErrorSent: false }],
  ['several queries wait', 'QQF', 'EZT', { readies: 2, openUnit: false, isErrorSent: false }],
  ['a batch has no Sync yet', 'PBE', '12', { readies: 0, openUnit: true, isErrorSent: false }],
  ['a batch has its Sync', 'PBES', '12', { readies: 1, openUnit: false, isErrorSent: false }],
  ['a batch behind a query has no Sync yet', 'QPBE', '', { readies: 1, openUnit: true, isErrorSent: false }],
  ['a batch without Sync has failed', 'PBE', '1E', { readies: 0, openUnit: false, isErrorSent: true }],
  ['a batch with Sync has failed', 'PBESQ', '1E', { readies: 2, openUnit: false, isErrorSent: true }],
  ['a question of ours waits', '[PSQ]', '', { readies: 0, openUnit: false, isErrorSent: false }],
  [
    'a question of ours has failed in front of a query',
    '[PS]Q',
    'E',
    { readies: 1, openUnit: false, isErrorSent: false },
  ],
  ['a COPY is under way', 'Q', 'G', { readies: 1, openUnit: false, isErrorSent: false }],
  ['a COPY in a batch is under way', 'PBES', '12G', { readies: 0, openUnit: true, isErrorSent: false }],
  ['a COPY in a batch has got its end', 'PBESdcS', '12G', { readies: 1, openUnit: false, isErrorSent: false }],
  ['a COPY in a batch is over but for its Sync', 'PBESdc', '12GC', { readies: 0, openUnit: true, isErrorSent: false }],
  ['a COPY in a batch has failed', 'PBESd', '12GE', { readies: 0, openUnit: true, isErrorSent: true }],
];

for (const [when, sent, heard, owed] of lost) {
  test(`a backend that is lost when ${when} leaves what the client waits for, and is forgotten`, () => {
    const tracker = trackerOf(sent);
    assert.doesNotMatch(hear(tracker, heard), /!/);
    assert.deepEqual(tracker.abandon(), owed);
    assert.ok(tracker.isEmpty);
    assert.ok(!tracker.isCopyIn);
    assert.ok(!tracker.isUnitOpen);
    send(tracker, 'PBESQ');
    assert.equal(hear(tracker, '12CZCZ'), 'ffffff');
    assert.deepEqual(tracker.abandon(), { readies: 0, openUnit: false, isErrorSent: false });
  });
}
