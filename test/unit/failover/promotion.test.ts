import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SwitchoverClaim } from '../../../src/dcs/claims.js';
import { admitsOf, initialPromotion, Phase, stepPromotion } from '../../../src/failover/promotion.js';
import type { DrainClaim, PromotionAction, PromotionInput, PromotionState } from '../../../src/failover/promotion.js';
import { Admits } from '../../../src/session/context.js';
import { nodeName } from '../../../src/util/brand.js';

const ANNOUNCE_TIMEOUT_MS = 30_000;
const START_EPOCH_MS = 1_700_000_000_000;

/** What one sees of the cluster, in names. */
interface Sight {
  primary?: string | null;
  leader?: string | null;
  switchover?: SwitchoverClaim | null;
  drain?: DrainClaim | null;
}

function describe(action: PromotionAction): string {
  switch (action.kind) {
    case 'hurry':
      return `hurry ${action.node ?? 'all'}`;
    case 'release':
      return `release ${action.node} from ${action.from ?? 'none'}: ${action.outcome}`;
    default:
      return action.kind;
  }
}

/** The machine, and what it sees: what is not said anew stays as it was. */
class Machine {
  state: PromotionState = initialPromotion(0);
  reason = '';
  #nowMs = 0;
  #wallOffsetMs = 0;
  #sight: Required<Sight> = { primary: null, leader: null, switchover: null, drain: null };

  /** Shows it something, and gives what it does. The same sight once more must change nothing. */
  see(sight: Sight = {}): readonly string[] {
    this.#sight = { ...this.#sight, ...sight };
    const { state, actions } = stepPromotion(this.state, this.#input());
    const again = stepPromotion(state, this.#input());
    assert.deepEqual(again, { state, actions: [] }, 'the same sight once more');
    this.state = state;
    for (const action of actions) if (action.kind === 'hold') this.reason = action.reason;
    return actions.map(describe);
  }

  get admits(): Admits {
    return admitsOf(this.state);
  }

  after(ms: number, sight: Sight = {}): readonly string[] {
    this.#nowMs += ms;
    return this.see(sight);
  }

  setWallClockBack(ms: number): void {
    this.#wallOffsetMs -= ms;
  }

  #input(): PromotionInput {
    const name = (text: string | null): PromotionInput['primary'] => (text === null ? null : nodeName(text));
    return {
      nowMs: this.#nowMs,
      epochMs: START_EPOCH_MS + this.#nowMs + this.#wallOffsetMs,
      primary: name(this.#sight.primary),
      leader: name(this.#sight.leader),
      switchover: this.#sight.switchover,
      drain: this.#sight.drain,
      announceTimeoutMs: ANNOUNCE_TIMEOUT_MS,
    };
  }
}

function switchover(
  from: string | null,
  to: string | null,
  revision = 1n,
  inMs: number | null = null,
): SwitchoverClaim {
  return {
    leader: from === null ? null : nodeName(from),
    candidate: to === null ? null : nodeName(to),
    scheduledAtEpochMs: inMs === null ? null : START_EPOCH_MS + inMs,
    revision,
  };
}

/** A machine that has found `a` to be the primary. */
function stable(): Machine {
  const machine = new Machine();
  machine.see({ primary: 'a', leader: 'a' });
  return machine;
}

test('waits for the first primary from the start, without a word', () => {
  const machine = new Machine();
  assert.equal(machine.state.phase, Phase.LeaderLost);
  assert.equal(machine.state.disturbedSinceMs, 0);
  assert.deepEqual(machine.see(), []);
  assert.deepEqual(machine.after(1000, { leader: 'a' }), ['hold', 'hurry a']);
  assert.equal(machine.state.phase, Phase.Confirming);
  assert.equal(machine.reason, 'a holds the leader key and has not proved to be the primary yet');
  assert.deepEqual(machine.after(10, { primary: 'a' }), ['rest', 'release a from none: first']);
  assert.deepEqual(machine.state, {
    phase: Phase.Stable,
    sinceMs: 1010,
    disturbedSinceMs: null,
    primary: 'a',
    candidate: null,
    awaited: null,
    isFirm: false,
    ignoredAnnouncement: null,
  });
});

test('does nothing while nothing changes', () => {
  const machine = stable();
  assert.deepEqual(machine.after(1000), []);
  assert.deepEqual(machine.after(3_600_000), []);
});

test('a leader key that names the primary, or is not there while the primary proves itself, is no matter', () => {
  const machine = stable();
  assert.deepEqual(machine.see({ leader: null }), []);
  assert.deepEqual(machine.see({ leader: 'a' }), []);
  assert.equal(machine.state.phase, Phase.Stable);
});

test('a planned switchover: announced, lost, named, proved', () => {
  const machine = stable();
  assert.deepEqual(machine.after(1000, { switchover: switchover('a', 'b') }), ['hold', 'hurry b']);
  assert.equal(machine.reason, 'a switchover from a to b was announced');
  assert.equal(machine.state.phase, Phase.Announced);
  assert.equal(machine.state.candidate, 'b');
  assert.deepEqual(machine.after(500, { primary: null }), ['hold', 'hurry a']);
  assert.equal(machine.state.phase, Phase.Confirming);
  assert.deepEqual(machine.after(500, { leader: null }), ['hold', 'hurry all']);
  assert.equal(machine.state.phase, Phase.LeaderLost);
  assert.equal(machine.reason, 'there is no leader');
  assert.deepEqual(machine.after(300, { leader: 'b' }), ['hold', 'hurry b']);
  assert.equal(machine.state.phase, Phase.Confirming);
  assert.deepEqual(machine.after(100), [], 'b is in recovery still');
  assert.equal(machine.state.disturbedSinceMs, 1000, 'since the announcement');
  assert.deepEqual(machine.after(100, { primary: 'b' }), ['rest', 'release b from a: promoted']);
  assert.deepEqual(machine.after(100), [], 'what is left over of the key');
  assert.deepEqual(machine.after(100, { switchover: null }), []);
  assert.equal(machine.state.disturbedSinceMs, null);
});

test('a switchover to whom it may concern', () => {
  const machine = stable();
  assert.deepEqual(machine.see({ switchover: switchover('a', null) }), ['hold', 'hurry all']);
  assert.equal(machine.reason, 'a switchover from a to another node was announced');
  assert.deepEqual(machine.see({ primary: 'c', leader: 'c' }), ['rest', 'release c from a: promoted']);
  assert.deepEqual(machine.after(10), []);
});

test('a failover by hand names no leader', () => {
  const machine = stable();
  assert.deepEqual(machine.see({ switchover: switchover(null, 'b') }), ['hold', 'hurry b']);
  assert.deepEqual(machine.see({ primary: 'b', leader: 'b' }), ['rest', 'release b from a: promoted']);
  assert.deepEqual(machine.after(10), [], 'b is where it was to go');
});

test('an announcement that is called off: everything goes on where it was', () => {
  const machine = stable();
  machine.see({ switchover: switchover('a', 'b') });
  assert.deepEqual(machine.after(2000, { switchover: null }), ['rest', 'release a from a: called_off']);
  assert.equal(machine.state.phase, Phase.Stable);
});

test('an announcement that is replaced by another is waited for anew, towards the other candidate', () => {
  const machine = stable();
  machine.see({ switchover: switchover('a', 'b', 1n) });
  assert.deepEqual(machine.after(ANNOUNCE_TIMEOUT_MS - 1, { switchover: switchover('a', 'c', 2n) }), [
    'hold',
    'hurry c',
  ]);
  assert.equal(machine.reason, 'a switchover from a to c was announced');
  assert.equal(machine.state.sinceMs, 0, 'it is one phase');
  assert.deepEqual(machine.after(ANNOUNCE_TIMEOUT_MS - 1), []);
  assert.deepEqual(machine.after(1), ['rest', 'release a from a: called_off']);
  assert.deepEqual(machine.after(1), []);
});

test('an announcement that does not come true in time is given up, until the key changes', () => {
  const machine = stable();
  machine.see({ switchover: switchover('a', 'b', 7n) });
  assert.deepEqual(machine.after(ANNOUNCE_TIMEOUT_MS - 1), []);
  assert.deepEqual(machine.after(1), ['rest', 'release a from a: called_off']);
  assert.equal(machine.state.ignoredAnnouncement, 7n);
  assert.deepEqual(machine.after(100_000), []);
  assert.deepEqual(machine.after(1, { switchover: switchover('a', 'b', 8n) }), ['hold', 'hurry b']);
});

test('an announcement that was given up may still come true', () => {
  const machine = stable();
  machine.see({ switchover: switchover('a', 'b') });
  machine.after(ANNOUNCE_TIMEOUT_MS);
  assert.deepEqual(machine.after(1, { primary: null, leader: 'b' }), ['hold', 'hurry b']);
  assert.deepEqual(machine.after(1, { primary: 'b' }), ['rest', 'release b from a: promoted']);
  assert.equal(machine.state.ignoredAnnouncement, 1n);
});

test('a switchover that is scheduled begins when its time has come, not before', () => {
  const machine = stable();
  assert.deepEqual(machine.see({ switchover: switchover('a', 'b', 1n, 5000) }), []);
  assert.deepEqual(machine.after(4999), []);
  assert.deepEqual(machine.after(1), ['hold', 'hurry b']);
});

test('a switchover that is put off while it is waited for is called off', () => {
  const machine = stable();
  machine.see({ switchover: switchover('a', 'b', 1n) });
  assert.deepEqual(machine.see({ switchover: switchover('a', 'b', 2n, 60_000) }), [
    'rest',
    'release a from a: called_off',
  ]);
});

const elsewhere: readonly (readonly [what: string, sight: Sight])[] = [
  ['away from another node', { switchover: switchover('c', 'b') }],
  ['to the primary itself', { switchover: switchover('a', 'a') }],
  ['to the primary from nobody', { switchover: switchover(null, 'a') }],
  ['while the leader key names another node', { leader: 'b', switchover: switchover('a', 'b') }],
];

for (const [what, sight] of elsewhere) {
  test(`a switchover ${what} is nothing to wait for`, () => {
    const machine = stable();
    assert.deepEqual(machine.see(sight), []);
    assert.equal(machine.state.phase, Phase.Stable);
  });
}

test('a leader key that goes to another node while a switchover is announced ends the announcement', () => {
  const machine = stable();
  machine.see({ switchover: switchover('a', 'b') });
  // The view says at the same time whether there is a primary: mostly there is none.
  assert.deepEqual(machine.see({ leader: 'b', primary: null }), ['hold', 'hurry b']);
});

test('without a leader key, as with a fixed list of nodes, an announcement counts too', () => {
  const machine = new Machine();
  machine.see({ primary: 'a' });
  assert.deepEqual(machine.see({ switchover: switchover('a', 'b') }), ['hold', 'hurry b']);
});

test('the primary is lost without an announcement, and another is named', () => {
  const machine = stable();
  assert.deepEqual(machine.after(10, { primary: null, leader: null }), ['hold', 'hurry all']);
  assert.equal(machine.state.phase, Phase.LeaderLost);
  assert.equal(machine.state.primary, 'a');
  assert.deepEqual(machine.after(20_000), []);
  assert.deepEqual(machine.after(10, { leader: 'c' }), ['hold', 'hurry c']);
  assert.deepEqual(machine.after(10, { primary: 'c' }), ['rest', 'release c from a: promoted']);
});

test('the primary does not answer while the key still names it', () => {
  const machine = stable();
  assert.deepEqual(machine.see({ primary: null }), ['hold', 'hurry a']);
  assert.equal(machine.state.phase, Phase.Confirming);
  assert.deepEqual(machine.see({ primary: 'a' }), ['rest', 'release a from a: returned']);
});

test('the key names a node that is in recovery, and then another', () => {
  const machine = stable();
  assert.deepEqual(machine.see({ primary: null, leader: 'b' }), ['hold', 'hurry b']);
  assert.deepEqual(machine.after(5000, { leader: 'c' }), ['hold', 'hurry c']);
  assert.equal(machine.state.sinceMs, 5000);
  assert.equal(machine.state.disturbedSinceMs, 0);
  assert.deepEqual(machine.after(1, { leader: null }), ['hold', 'hurry all']);
  assert.deepEqual(machine.after(1, { leader: 'b' }), ['hold', 'hurry b']);
  assert.deepEqual(machine.after(1, { primary: 'b' }), ['rest', 'release b from a: promoted']);
});

test('the old primary comes back out of nothing', () => {
  const machine = stable();
  machine.see({ primary: null, leader: null });
  assert.deepEqual(machine.after(3000, { primary: 'a', leader: 'a' }), ['rest', 'release a from a: returned']);
});

test('the old primary comes back, but is about to go: what waits goes on waiting', () => {
  const machine = stable();
  machine.see({ switchover: switchover('a', 'b') });
  machine.after(100, { primary: null });
  assert.deepEqual(machine.after(100, { primary: 'a' }), ['hold', 'hurry b']);
  assert.equal(machine.state.phase, Phase.Announced);
  assert.equal(machine.state.disturbedSinceMs, 0);
  assert.deepEqual(machine.after(ANNOUNCE_TIMEOUT_MS), ['rest', 'release a from a: called_off']);
});

test('the primary changes from one sight to the next', () => {
  const machine = stable();
  assert.deepEqual(machine.see({ primary: 'b', leader: 'b' }), ['rest', 'release b from a: promoted']);
  assert.equal(machine.state.primary, 'b');
});

test('the primary changes from one sight to the next while another change is announced', () => {
  const machine = stable();
  machine.see({ switchover: switchover('a', 'b') });
  assert.deepEqual(machine.see({ primary: 'c', leader: 'c' }), ['rest', 'release c from a: promoted']);
  assert.deepEqual(machine.after(10), [], 'the key was about a');
});

test('two switchovers one after the other', () => {
  const machine = stable();
  machine.see({ switchover: switchover('a', 'b', 1n) });
  machine.see({ primary: null, leader: 'b' });
  machine.see({ primary: 'b', switchover: null });
  assert.deepEqual(machine.after(10, { switchover: switchover('b', 'a', 2n) }), ['hold', 'hurry a']);
  machine.see({ primary: null, leader: 'a' });
  assert.deepEqual(machine.see({ primary: 'a' }), ['rest', 'release a from b: promoted']);
});

test('what may start narrows with the announcement, is nothing from the loss on, and everything with the release', () => {
  const machine = new Machine();
  assert.equal(machine.admits, Admits.None);
  machine.see({ primary: 'a', leader: 'a' });
  assert.equal(machine.admits, Admits.All);
  machine.see({ switchover: switchover('a', 'b') });
  assert.equal(machine.admits, Admits.Repeatable);
  machine.see({ primary: null });
  assert.equal(machine.admits, Admits.None, 'confirming');
  machine.see({ leader: null });
  assert.equal(machine.admits, Admits.None, 'leader lost');
  machine.see({ leader: 'b', primary: 'b' });
  assert.equal(machine.admits, Admits.All);
});

test('a candidate that refuses: the key is cleared, and transactions go on', () => {
  const machine = stable();
  machine.see({ switchover: switchover('a', 'b') });
  assert.deepEqual(machine.after(2300, { switchover: null }), ['rest', 'release a from a: called_off']);
  assert.equal(machine.admits, Admits.All);
});

test('a second switchover that is announced before the first is over lets no transaction begin between the two', () => {
  const machine = stable();
  machine.see({ switchover: switchover('a', 'b', 1n) });
  machine.see({ primary: null, leader: 'b' });
  assert.deepEqual(machine.see({ switchover: switchover('b', 'a', 2n) }), []);
  assert.deepEqual(machine.after(50, { primary: 'b' }), ['rest', 'release b from a: promoted', 'hold', 'hurry a']);
  assert.equal(machine.state.primary, 'b');
  assert.equal(machine.admits, Admits.Repeatable);
  assert.equal(machine.state.disturbedSinceMs, 50, 'a disturbance of its own');
});

test('a program that starts in the middle of an announcement keeps to it', () => {
  const machine = new Machine();
  const seen = machine.see({ primary: 'a', leader: 'a', switchover: switchover('a', 'b') });
  assert.deepEqual(seen, ['rest', 'release a from none: first', 'hold', 'hurry b']);
  assert.equal(machine.admits, Admits.Repeatable);
});

test('a wall clock that is set back calls a scheduled switchover off, until it is due again', () => {
  const machine = stable();
  machine.after(5000, { switchover: switchover('a', 'b', 1n, 5000) });
  assert.equal(machine.state.phase, Phase.Announced);
  machine.setWallClockBack(60_000);
  assert.deepEqual(machine.see(), ['rest', 'release a from a: called_off']);
  assert.deepEqual(machine.after(59_999), []);
  assert.deepEqual(machine.after(1), ['hold', 'hurry b']);
});

function drain(node: string, isFirm = true): DrainClaim {
  return { node: nodeName(node), isFirm };
}

test('the drain of the primary stops everything that would start there, until it is called off', () => {
  const machine = stable();
  assert.deepEqual(machine.see({ drain: drain('a') }), ['hold', 'hurry all']);
  assert.equal(machine.reason, 'a is about to be stopped');
  assert.equal(machine.state.phase, Phase.Announced);
  assert.equal(machine.admits, Admits.None);
  assert.deepEqual(machine.after(ANNOUNCE_TIMEOUT_MS * 10), [], 'how long it lasts is not decided here');
  assert.deepEqual(machine.see({ drain: null }), ['rest', 'release a from a: called_off']);
  assert.equal(machine.admits, Admits.All);
});

test('a drain that is not firm lets go on what could be sent again', () => {
  const machine = stable();
  machine.see({ drain: drain('a', false) });
  assert.equal(machine.admits, Admits.Repeatable);
  assert.deepEqual(machine.see({ drain: drain('a') }), ['hold', 'hurry all']);
  assert.equal(machine.admits, Admits.None);
  assert.deepEqual(machine.see({ drain: drain('a', false) }), ['hold', 'hurry all']);
  assert.equal(machine.admits, Admits.Repeatable);
});

test('the drain of another node is no announcement', () => {
  const machine = stable();
  assert.deepEqual(machine.see({ drain: drain('b') }), []);
  assert.equal(machine.admits, Admits.All);
});

test('an announced switchover whose old primary is drained for its stop, as Patroni does it', () => {
  const machine = stable();
  machine.see({ switchover: switchover('a', 'b') });
  assert.deepEqual(machine.after(300, { drain: drain('a') }), ['hold', 'hurry b']);
  assert.equal(machine.admits, Admits.None);
  assert.deepEqual(machine.after(300, { primary: null }), ['hold', 'hurry a']);
  assert.equal(machine.state.isFirm, false);
  machine.see({ drain: null, leader: 'b' });
  assert.deepEqual(machine.after(900, { primary: 'b', switchover: null }), ['rest', 'release b from a: promoted']);
  assert.equal(machine.state.sinceMs, 1500);
});

test('a switchover that takes too long while the primary is drained is given up, and the drain goes on alone', () => {
  const machine = stable();
  machine.see({ switchover: switchover('a', 'b', 3n), drain: drain('a') });
  assert.deepEqual(machine.after(ANNOUNCE_TIMEOUT_MS), ['hold', 'hurry all']);
  assert.equal(machine.state.ignoredAnnouncement, 3n);
  assert.equal(machine.admits, Admits.None);
  assert.deepEqual(machine.see({ drain: null }), ['rest', 'release a from a: called_off']);
});

test('a drain that is called off while a switchover is announced leaves the announcement', () => {
  const machine = stable();
  machine.see({ switchover: switchover('a', 'b'), drain: drain('a') });
  assert.deepEqual(machine.see({ drain: null }), ['hold', 'hurry b']);
  assert.equal(machine.admits, Admits.Repeatable);
});
