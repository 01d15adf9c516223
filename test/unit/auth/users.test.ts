import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SwitchyardError } from '../../../src/errors.js';
import type { NoSecretReason, UserSecret } from '../../../src/auth/user-secret.js';
import { UserDirectory, type UserQuery, type UserQueryRow, type UserSources } from '../../../src/auth/users.js';
import { FakeClock } from '../../support/fake-clock.js';

const scram =
  'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=';
const md5 = 'md500c31446a25b9a88793fcbad6ee5bfea';

function sources(partial: Partial<UserSources> = {}): UserSources {
  return { users: [], userlist: [], runQuery: null, queryCacheMs: 30_000, ...partial };
}

function passwordOf(secret: UserSecret): string {
  assert.ok(secret.kind === 'plain', secret.kind);
  return secret.password.toString();
}

function isNone(secret: UserSecret, reason: NoSecretReason): void {
  assert.ok(secret.kind === 'none', secret.kind);
  assert.equal(secret.reason, reason);
}

/** A query that counts, and answers what `rows` holds at that moment. */
function counted(rows: Map<string, UserQueryRow | Error>): { readonly runQuery: UserQuery; readonly asked: string[] } {
  const asked: string[] = [];
  const runQuery: UserQuery = async (user) => {
    asked.push(user);
    const row = rows.get(user) ?? null;
    if (row instanceof Error) throw row;
    return row;
  };
  return { runQuery, asked };
}

function lookUpFailed(error: unknown): boolean {
  assert.ok(error instanceof SwitchyardError);
  assert.equal(error.code, 'user_lookup_failed');
  assert.equal(error.sqlState, '57P03');
  return true;
}

test('configured users come before the userlist, and that before the query', async () => {
  const { runQuery, asked } = counted(new Map([['c', { name: 'c', secret: scram }]]));
  const directory = new UserDirectory(
    sources({
      users: [{ name: 'a', password: 'of-config', verifier: null }],
      userlist: [
        { name: 'a', secret: 'of-list' },
        { name: 'b', secret: md5 },
        { name: 'b', secret: 'later' },
      ],
      runQuery,
    }),
    new FakeClock(),
  );
  assert.equal(passwordOf(await directory.lookUp('a')), 'of-config');
  assert.equal(passwordOf(await directory.lookUp('b')), 'later');
  assert.deepEqual(asked, []);
  assert.equal((await directory.lookUp('c')).kind, 'scram');
  isNone(await directory.lookUp('d'), 'no-such-user');
  assert.deepEqual(asked, ['c', 'd']);
});

test('a configured password is a password, whatever it looks like; a verifier is what it is', async () => {
  const directory = new UserDirectory(
    sources({
      users: [
        { name: 'a', password: md5, verifier: null },
        { name: 'b', password: null, verifier: md5 },
        { name: 'c', password: null, verifier: scram },
      ],
    }),
    new FakeClock(),
  );
  assert.equal(passwordOf(await directory.lookUp('a')), md5);
  assert.equal((await directory.lookUp('b')).kind, 'md5');
  assert.equal((await directory.lookUp('c')).kind, 'scram');
  isNone(await directory.lookUp('__proto__'), 'no-such-user');
});

test('an answer of the query is believed for the time of the cache, a missing user for less', async () => {
  const clock = new FakeClock();
  const rows = new Map<string, UserQueryRow>([['a', { name: 'a', secret: 'one' }]]);
  const { runQuery, asked } = counted(rows);
  const directory = new UserDirectory(sources({ runQuery, queryCacheMs: 30_000 }), clock);
  assert.equal(passwordOf(await directory.lookUp('a')), 'one');
  isNone(await directory.lookUp('b'), 'no-such-user');
  rows.set('a', { name: 'a', secret: 'two' }).set('b', { name: 'b', secret: 'new' });

  clock.advance(1_999);
  isNone(await directory.lookUp('b'), 'no-such-user');
  clock.advance(1);
  assert.equal(passwordOf(await directory.lookUp('b')), 'new');
  clock.advance(27_999);
  assert.equal(passwordOf(await directory.lookUp('a')), 'one');
  clock.advance(1);
  assert.equal(passwordOf(await directory.lookUp('a')), 'two');
  assert.deepEqual(asked, ['a', 'b', 'b', 'a']);
});

test('without a cache every look-up asks, but not twice at the same time', async () => {
  const { runQuery, asked } = counted(new Map([['a', { name: 'a', secret: 'x' }]]));
  const directory = new UserDirectory(sources({ runQuery, queryCacheMs: 0 }), new FakeClock());
  await Promise.all([directory.lookUp('a'), directory.lookUp('a'), directory.lookUp('a')]);
  assert.deepEqual(asked, ['a']);
  await directory.lookUp('a');
  assert.deepEqual(asked, ['a', 'a']);
});

test('a query that fails is an error, for all who wait for it, and the next look-up asks again', async () => {
  const rows = new Map<string, UserQueryRow | Error>([['a', new Error('no node')]]);
  const { runQuery, asked } = counted(rows);
  const directory = new UserDirectory(sources({ runQuery }), new FakeClock());
  const both = await Promise.allSettled([directory.lookUp('a'), directory.lookUp('a')]);
  for (const outcome of both) {
    assert.ok(outcome.status === 'rejected');
    lookUpFailed(outcome.reason);
    assert.match(String(outcome.reason.cause), /no node/);
    assert.ok(!outcome.reason.message.includes('no node'));
  }
  rows.set('a', { name: 'a', secret: 'x' });
  assert.equal(passwordOf(await directory.lookUp('a')), 'x');
  assert.deepEqual(asked, ['a', 'a']);
});

test('an answer about somebody else is an error', async () => {
  const directory = new UserDirectory(
    sources({ runQuery: async () => ({ name: 'postgres', secret: 'x' }) }),
    new FakeClock(),
  );
  await assert.rejects(directory.lookUp('a'), lookUpFailed);
});

test('a query that never answers gives up after its time, and leaves room for others', async () => {
  const clock = new FakeClock();
  const asked: string[] = [];
  const runQuery: UserQuery = (user) => {
    asked.push(user);
    return user === 'quick' ? Promise.resolve({ name: user, secret: 'x' }) : new Promise(() => {});
  };
  const directory = new UserDirectory(sources({ runQuery }), clock);
  const stuck = ['a', 'b', 'c', 'd', 'e', 'f'].map((user) => directory.lookUp(user));
  const outcomes = Promise.allSettled(stuck);
  // Four at a time; the others wait.
  await new Promise(setImmediate);
  assert.deepEqual(asked, ['a', 'b', 'c', 'd']);
  clock.advance(4_999);
  const late = directory.lookUp('quick');
  await new Promise(setImmediate);
  clock.advance(1);
  for (const outcome of await outcomes) {
    assert.ok(outcome.status === 'rejected');
    lookUpFailed(outcome.reason);
  }
  assert.equal(passwordOf(await late), 'x');
  // Those whose time was over before their turn were not even asked for.
  assert.deepEqual(asked, ['a', 'b', 'c', 'd', 'quick']);
  assert.equal(clock.pendingTimers, 0);
});

test('after a failed log-in the user is asked for again, but at most once a second', async () => {
  const clock = new FakeClock();
  const rows = new Map<string, UserQueryRow>([['a', { name: 'a', secret: 'old' }]]);
  const { runQuery, asked } = counted(rows);
  const directory = new UserDirectory(sources({ runQuery }), clock);
  await directory.lookUp('a');
  rows.set('a', { name: 'a', secret: 'new' });
  for (let i = 0; i < 10; i++) {
    clock.advance(99);
    directory.forget('a');
    assert.equal(passwordOf(await directory.lookUp('a')), 'old');
  }
  clock.advance(10);
  directory.forget('a');
  assert.equal(passwordOf(await directory.lookUp('a')), 'new');
  assert.equal(asked.length, 2);
  directory.forget('nobody');
});

test('a password expires at its time, in the cache too', async () => {
  const clock = new FakeClock();
  const validUntilEpochMs = clock.epochMs() + 1000;
  const { runQuery, asked } = counted(
    new Map([
      ['a', { name: 'a', secret: 'x', validUntilEpochMs }],
      ['b', { name: 'b', secret: 'x', validUntilEpochMs: Number.POSITIVE_INFINITY }],
      ['c', { name: 'c', secret: 'x', validUntilEpochMs: null }],
    ]),
  );
  const directory = new UserDirectory(sources({ runQuery }), clock);
  assert.equal(passwordOf(await directory.lookUp('a')), 'x');
  clock.advance(1001);
  isNone(await directory.lookUp('a'), 'expired');
  assert.equal(passwordOf(await directory.lookUp('b')), 'x');
  assert.equal(passwordOf(await directory.lookUp('c')), 'x');
  assert.deepEqual(asked, ['a', 'b', 'c']);
});

test('users without a password, or with a mangled one, cannot log in with one', async () => {
  const { runQuery } = counted(
    new Map([
      ['a', { name: 'a', secret: null }],
      ['b', { name: 'b', secret: '' }],
      ['c', { name: 'c', secret: `${scram}x` }],
    ]),
  );
  const directory = new UserDirectory(sources({ runQuery }), new FakeClock());
  isNone(await directory.lookUp('a'), 'no-password');
  isNone(await directory.lookUp('b'), 'no-password');
  isNone(await directory.lookUp('c'), 'not-readable');
});

test('a name that PostgreSQL would cut off is nobody', async () => {
  const cut = 'x'.repeat(63);
  const { runQuery, asked } = counted(new Map([[cut, { name: cut, secret: 'x' }]]));
  const directory = new UserDirectory(sources({ runQuery }), new FakeClock());
  isNone(await directory.lookUp(`${cut}y`), 'no-such-user');
  isNone(await directory.lookUp('é'.repeat(32)), 'no-such-user');
  assert.deepEqual(asked, []);
  assert.equal(passwordOf(await directory.lookUp(cut)), 'x');
});

test('other sources count at once, and an answer to the old ones is not kept', async () => {
  let answer: (row: UserQueryRow) => void = () => {};
  const directory = new UserDirectory(
    sources({
      users: [{ name: 'a', password: 'one', verifier: null }],
      runQuery: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    }),
    new FakeClock(),
  );
  const old = directory.lookUp('b');
  await new Promise(setImmediate);
  const { runQuery, asked } = counted(new Map([['b', { name: 'b', secret: 'new' }]]));
  directory.replace(sources({ users: [{ name: 'a', password: 'two', verifier: null }], runQuery }));
  assert.equal(passwordOf(await directory.lookUp('a')), 'two');
  answer({ name: 'b', secret: 'old' });
  assert.equal(passwordOf(await old), 'old');
  assert.equal(passwordOf(await directory.lookUp('b')), 'new');
  assert.deepEqual(asked, ['b']);
});

test('the dialogue of unknown users is that of most of the known ones', async () => {
  const { runQuery } = counted(
    new Map([
      ['s', { name: 's', secret: scram }],
      ['m', { name: 'm', secret: md5 }],
    ]),
  );
  const directory = new UserDirectory(sources({ runQuery, queryCacheMs: 0 }), new FakeClock());
  assert.equal(directory.usualDialogue, 'scram');
  assert.equal(directory.hasPlainSecrets, false);
  await directory.lookUp('m');
  assert.equal(directory.usualDialogue, 'md5');
  await directory.lookUp('s');
  assert.equal(directory.usualDialogue, 'scram');
  directory.replace(sources({ users: [{ name: 'a', password: 'x', verifier: null }] }));
  assert.equal(directory.usualDialogue, 'md5');
  assert.equal(directory.hasPlainSecrets, true);
});
