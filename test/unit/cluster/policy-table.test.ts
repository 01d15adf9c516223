import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Claims } from '../../../src/dcs/claims.js';
import { nodeName } from '../../../src/util/brand.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C, claimsOf } from '../../support/cluster-fakes.js';
import { FakeCluster } from '../../support/fake-cluster.js';

const STRANGER = nodeName('node9');

/**
 * Every picture that keys and probes can give together. P is node1, N is node2, C is node3; timeline 1 is where it all begins. What the
 * nodes show changes once, and the key was read after that or before.
 */
const WORLD = {
  /** Whom the leader key names. */
  key: ['P', 'N', 'absent', 'unknown member'],
  paused: [false, true],
  dcs: ['read after', 'read before', 'stale, read after', 'stale, read before', 'never read'],
  failsafe: [false, true],
  standbyCluster: [false, true],
  /** What this process knows of earlier. */
  memory: ['P led', 'just started'],
  P: ['primary', 'standby', 'gone'],
  N: ['standby', 'primary on 2', 'primary on 1', 'gone'],
  C: ['standby', 'follows 2'],
} as const;

type Picture = { readonly [K in keyof typeof WORLD]: (typeof WORLD)[K][number] };

interface Row {
  /** The row of the policy that this is. */
  readonly says: string;
  readonly when: (w: Picture) => boolean;
  readonly choice: (w: Picture) => NodeName | null;
  /** What people are told when nobody is chosen. */
  readonly reason: RegExp;
}

const nobody = (): null => null;
const named = (w: Picture): NodeName => (w.key === 'N' ? B : A);

/** Somebody was promoted whom the key cannot know of: it was read before that showed, or there was none to read. */
function isOldNews(w: Picture): boolean {
  return w.key !== 'absent' && (w.dcs === 'read after' || w.dcs === 'stale, read after');
}

function isProven(w: Picture): boolean {
  return named(w) === A ? w.P === 'primary' : w.N === 'primary on 2' || w.N === 'primary on 1';
}

/** Another node shows that it, or the one that it follows, was promoted behind the back of the named one. */
function isOvertaken(w: Picture): boolean {
  if (named(w) === A) return w.N === 'primary on 2' || w.N === 'primary on 1' || w.C === 'follows 2';
  // P that has been a primary all along was one when the key was written.
  return w.N === 'primary on 1' && (w.C === 'follows 2' || (w.P === 'primary' && w.memory === 'just started'));
}

/** Without a key and without a memory, in maintenance mode: the primaries and the timelines they are on. */
function primaries(w: Picture): readonly (readonly [NodeName, number])[] {
  const found: [NodeName, number][] = [];
  if (w.P === 'primary') found.push([A, 1]);
  if (w.N === 'primary on 1') found.push([B, 1]);
  if (w.N === 'primary on 2') found.push([B, 2]);
  return found;
}

const isByProof = (w: Picture): boolean => w.key === 'absent' && w.paused && w.memory === 'just started';

/** The first row that fits decides. */
const TABLE: readonly Row[] = [
  {
    says: 'nothing was ever read: nobody is known, not even to be asked',
    when: (w) => w.dcs === 'never read',
    choice: nobody,
    reason: /^nothing has been read from the DCS yet$/,
  },
  {
    says: 'a standby cluster takes no writes, whoever leads it',
    when: (w) => w.standbyCluster,
    choice: nobody,
    reason: /^this is a standby cluster/,
  },
  {
    says: 'the key names somebody who is no member',
    when: (w) => w.key === 'unknown member',
    choice: nobody,
    reason: /^the leader key names node9, which is not a known member$/,
  },
  {
    says: 'absent, not paused: P will be demoted, or take the lock again; until then units wait',
    when: (w) => w.key === 'absent' && !w.paused,
    choice: nobody,
    reason: /^the leader key is gone$/,
  },
  {
    says: 'absent, paused, nothing known of earlier, and nobody is out of recovery',
    when: (w) => isByProof(w) && primaries(w).length === 0,
    choice: nobody,
    reason: /^no node is out of recovery$/,
  },
  {
    says: 'absent, paused, nothing known of earlier, and two are out of recovery on the same timeline',
    when: (w) => isByProof(w) && primaries(w).length === 2 && w.N === 'primary on 1',
    choice: nobody,
    reason: /both say they are the primary, on the same timeline 1$/,
  },
  {
    says: 'absent, paused, nothing known of earlier: the one on the highest timeline, unless somebody follows a higher one',
    when: isByProof,
    choice: (w) => (w.N === 'primary on 2' ? B : w.C === 'follows 2' ? null : (primaries(w)[0]?.[0] ?? null)),
    reason: /says it is the primary, on timeline 1, but node3 was seen on 2$/,
  },
  {
    says: 'names N (or absent and paused, and P led), who is in recovery: a promotion under way, or a demotion',
    when: (w) => (named(w) === A ? w.P : w.N) === 'standby',
    choice: nobody,
    reason: /(holds the leader key and is still in recovery|was the primary and is in recovery now)$/,
  },
  {
    says: 'names N (or absent and paused, and P led), who cannot be reached: not verified',
    when: (w) => !isProven(w),
    choice: nobody,
    reason: /does not prove that it is the primary: it is refused$/,
  },
  {
    says: 'names N, who is verified, but somebody was seen to be promoted since the key was read',
    when: (w) => isOvertaken(w) && !isOldNews(w),
    choice: nobody,
    reason:
      /^node\d says it is the primary, but node\d (is|follows) a primary on timeline \d, and no leader key was read since/,
  },
  {
    says: 'names N, who is verified: N, whether the key can be read now or not, and whatever others say',
    when: (w) => w.key !== 'absent',
    choice: named,
    reason: /./,
  },
  {
    says: 'absent, paused, P led and is alive: P',
    when: () => true,
    choice: () => A,
    reason: /./,
  },
];

function pictures(): Picture[] {
  let all: Record<string, unknown>[] = [{}];
  for (const [dimension, values] of Object.entries(WORLD)) {
    all = all.flatMap((picture) => values.map((value) => ({ ...picture, [dimension]: value })));
  }
  return all as unknown as Picture[];
}

/** Plays the picture to a store, and gives the store's cluster at the end. */
function play(w: Picture): FakeCluster {
  const settings = { paused: w.paused, failsafeMode: w.failsafe, standbyCluster: w.standbyCluster };
  const leader = w.key === 'P' ? A : w.key === 'N' ? B : w.key === 'absent' ? null : STRANGER;
  const claims = (over: Parameters<typeof claimsOf>[0] & { readonly state: Claims['state'] }): Claims =>
    claimsOf({ leader, settings, ...over });
  if (w.dcs === 'never read') {
    const unread = claims({ state: 'unknown', leader: null, members: [], confirmedAtMs: null, systemIdentifier: null });
    const cluster = new FakeCluster(unread);
    cluster.run(500);
    return cluster;
  }
  const isRemembered = w.memory === 'P led';
  // What came before: the same settings, but somebody could lead.
  const before = claims({
    state: 'live',
    settings: { ...settings, standbyCluster: false },
    leader: A,
    confirmedAtMs: 99_000,
  });
  const cluster = new FakeCluster(isRemembered ? before : claims({ state: 'live', confirmedAtMs: 99_000 }));
  if (isRemembered) {
    cluster.actor(A).role = 'primary';
    cluster.run(500);
    assert.equal(cluster.view.primary, A);
    cluster.claim({ ...before, confirmedAtMs: cluster.clock.nowMs() });
  }
  const read = (state: Claims['state']): void =>
    cluster.claim(claims({ state, confirmedAtMs: isRemembered ? cluster.clock.nowMs() : 99_500 }));
  const readNow = (state: Claims['state']): void =>
    cluster.claim(claims({ state, confirmedAtMs: cluster.clock.nowMs() }));
  const isReadBefore = w.dcs === 'read before' || w.dcs === 'stale, read before';
  if (isReadBefore) read('live');
  setStage(cluster, w);
  cluster.run(500);
  if (!isReadBefore) readNow('live');
  if (w.dcs.startsWith('stale')) {
    const { confirmedAtMs } = cluster.claims;
    cluster.claim(claims({ state: 'stale', confirmedAtMs, trouble: 'no answer' }));
  }
  cluster.run(500);
  return cluster;
}

function setStage(cluster: FakeCluster, w: Picture): void {
  const [p, n, c] = [cluster.actor(A), cluster.actor(B), cluster.actor(C)];
  p.role = w.P === 'primary' ? 'primary' : 'standby';
  p.fails = w.P === 'gone' ? 'refused' : null;
  n.role = w.N.startsWith('primary') ? 'primary' : 'standby';
  n.over = { timeline: w.N === 'primary on 2' ? 2 : 1 };
  n.fails = w.N === 'gone' ? 'refused' : null;
  c.over = { timeline: w.C === 'follows 2' ? 2 : 1 };
}

interface Played {
  readonly picture: Picture;
  readonly primary: NodeName | null;
  readonly reason: string | null;
  /** Whoever was chosen on the way, P of earlier times left out. */
  readonly chosen: ReadonlySet<NodeName>;
}

const everyPicture: readonly Played[] = pictures().map((picture) => {
  const cluster = play(picture);
  const { primary, noPrimaryReason: reason } = cluster.view;
  const chosen = new Set(cluster.views.map((view) => view.primary).filter((each) => each !== null));
  if (picture.memory === 'P led') chosen.delete(A);
  return { picture, primary, reason, chosen };
});

test(`each of ${everyPicture.length} pictures of keys and nodes gets the choice of its row`, () => {
  const hits = new Map<Row, number>();
  for (const { picture, primary, reason } of everyPicture) {
    const row = TABLE.find((each) => each.when(picture));
    assert.ok(row !== undefined);
    hits.set(row, (hits.get(row) ?? 0) + 1);
    const what = `${row.says}: ${JSON.stringify(picture)}, told ${reason}`;
    assert.equal(primary, row.choice(picture), what);
    if (primary === null) assert.match(reason ?? '', row.reason, what);
    else assert.equal(reason, null, what);
  }
  for (const row of TABLE) assert.ok((hits.get(row) ?? 0) > 0, `no picture is like this: ${row.says}`);
});

test('failsafe_mode changes no choice: it shows in what the primary proves', () => {
  const keyOf = (picture: Picture): string => JSON.stringify({ ...picture, failsafe: null });
  const without = new Map(
    everyPicture.filter(({ picture }) => !picture.failsafe).map((played) => [keyOf(played.picture), played]),
  );
  for (const { picture, primary } of everyPicture.filter(({ picture }) => picture.failsafe)) {
    assert.equal(primary, without.get(keyOf(picture))?.primary, JSON.stringify(picture));
  }
});

test('in no picture does anybody get writes, not even for a moment, whom no key has named', () => {
  for (const { picture, chosen } of everyPicture) {
    if (picture.key === 'absent' && picture.paused) continue;
    const allowed = picture.key === 'P' ? [A] : picture.key === 'N' ? [B] : [];
    for (const node of chosen) assert.ok(allowed.includes(node), `${node}: ${JSON.stringify(picture)}`);
  }
});
