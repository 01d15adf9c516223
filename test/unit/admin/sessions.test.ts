import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionsSchema } from '../../../src/admin/sessions-document.js';
import { listSessions, readSessionsWish } from '../../../src/admin/sessions.js';
import type { ListedSession, SessionsWish } from '../../../src/admin/sessions.js';

const NOW_MS = 10_000;

function sessionOf(id: number, over: Partial<ListedSession> & { readonly user?: string } = {}): ListedSession {
  const { user = 'app', ...more } = over;
  return {
    id,
    identity: {
      user,
      database: 'shop',
      applicationName: 'web',
      clientAddress: '::1',
      clientPort: 40_000 + id,
      listener: 'all',
    },
    intent: { route: 'split' },
    startedAtMs: NOW_MS - 1500,
    isAtBoundary: true,
    target: null,
    nodes: [],
    wait: null,
    waitReason: '',
    pinReason: null,
    lastDecision: null,
    ...more,
  };
}

function wish(query = ''): SessionsWish {
  const read = readSessionsWish(new URLSearchParams(query));
  assert.ok(typeof read !== 'string', String(read));
  return read;
}

/** The answer to a request for these sessions, checked against its schema. */
function list(sessions: readonly ListedSession[], query = '') {
  return sessionsSchema.parse(listSessions(sessions, wish(query), sessions.length, NOW_MS));
}

const ids = (sessions: readonly ListedSession[], query: string): readonly number[] =>
  list(sessions, query).sessions.map(({ id }) => id);

test('a session is told with where it is, what it waits for, what holds it, and what was decided last', () => {
  const [idle, waiting] = list([
    sessionOf(7, {
      target: 'standby',
      nodes: ['node2', 'node1'],
      lastDecision: { target: 'standby', node: 'node2', reason: 'read', atMs: NOW_MS - 250 },
    }),
    sessionOf(8, {
      isAtBoundary: false,
      wait: 'hold',
      waitReason: 'the leader key is gone',
      pinReason: 'temporary_object',
      lastDecision: { target: 'primary', node: 'node1', reason: 'write' },
    }),
  ]).sessions;
  assert.deepEqual(idle, {
    id: 7,
    user: 'app',
    database: 'shop',
    applicationName: 'web',
    client: '[::1]:40007',
    listener: 'all',
    route: 'split',
    ageSeconds: 1.5,
    state: 'idle',
    target: 'standby',
    nodes: ['node2', 'node1'],
    wait: null,
    pin: null,
    lastDecision: { target: 'standby', node: 'node2', reason: 'read', ageSeconds: 0.25 },
  });
  assert.equal(waiting?.state, 'waiting');
  assert.deepEqual(waiting?.wait, { for: 'hold', reason: 'the leader key is gone' });
  assert.deepEqual(waiting?.pin, { reason: 'temporary_object', text: 'it has a temporary object' });
  assert.deepEqual(waiting?.lastDecision, { target: 'primary', node: 'node1', reason: 'write', ageSeconds: null });
});

test('filters are exact, and all of them must fit', () => {
  const sessions = [
    sessionOf(1),
    sessionOf(2, { user: 'apps', nodes: ['node1'] }),
    sessionOf(3, { user: 'apps', nodes: ['node2', 'node1'] }),
  ];
  assert.deepEqual(ids(sessions, ''), [1, 2, 3]);
  assert.deepEqual(ids(sessions, 'user=app'), [1]);
  assert.deepEqual(ids(sessions, 'node=node1'), [2, 3], 'also where it has a backend it is not attached to');
  assert.deepEqual(ids(sessions, 'node=node2&user=apps&database=shop&listener=all'), [3]);
  assert.deepEqual(ids(sessions, 'database=other'), []);
  assert.deepEqual(ids(sessions, 'listener=other'), []);
  assert.deepEqual(ids(sessions, 'user='), [], 'an empty name is a name');
});

test('an answer is bounded, says how many are meant, and where the next one goes on', () => {
  const sessions = Array.from({ length: 2500 }, (_, index) => sessionOf(index + 1));
  const first = list(sessions);
  assert.equal(first.sessions.length, 100);
  assert.deepEqual([first.total, first.matching, first.next], [2500, 2500, 100]);
  const seen: number[] = [];
  let after: number | null = 0;
  while (after !== null) {
    const page: ReturnType<typeof list> = list(sessions, `limit=1000&after=${after}`);
    assert.ok(page.sessions.length <= 1000);
    assert.equal(page.matching, 2500);
    seen.push(...page.sessions.map(({ id }) => id));
    after = page.next;
  }
  assert.deepEqual(
    seen,
    sessions.map(({ id }) => id),
  );
  assert.equal(list(sessions.slice(0, 100)).next, null, 'a full page with nothing behind it is the last');
});

test('what is not understood is refused instead of left out', () => {
  const problem = (query: string): unknown => readSessionsWish(new URLSearchParams(query));
  assert.equal(problem('usr=app'), '"usr" is not known; known: user, database, listener, node, limit, after');
  assert.equal(problem('user=a&user=b'), 'user is given twice');
  for (const limit of ['0', '-1', '1001', 'all', '', '1.5', '1e3']) {
    assert.equal(problem(`limit=${limit}`), 'limit must be a whole number from 1 to 1000', limit);
  }
  for (const after of ['-1', 'x', '', '99999999999999999']) {
    assert.equal(problem(`after=${after}`), 'after must be the id of a session', after);
  }
});
