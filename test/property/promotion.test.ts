import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { admitsOf, initialPromotion, Phase, ReleaseOutcome, stepPromotion } from '../../src/failover/promotion.js';
import type { PromotionInput, PromotionState } from '../../src/failover/promotion.js';
import { Admits } from '../../src/session/context.js';
import { nodeName } from '../../src/util/brand.js';

const RUNS = 4000;
const ANNOUNCE_TIMEOUT_MS = 1000;

const nodes = fc.constantFrom('a', 'b', 'c').map(nodeName);
const someNode = fc.option(nodes, { freq: 3 });

/** Any sight at all, likely or not; time only goes on. */
const sights = fc.array(
  fc.record({
    elapsedMs: fc.oneof(fc.constant(0), fc.nat({ max: 1500 })),
    primary: someNode,
    leader: someNode,
    switchover: fc.option(
      fc.record({
        leader: someNode,
        candidate: someNode,
        scheduledAtEpochMs: fc.option(fc.nat({ max: 20_000 })),
        revision: fc.bigInt({ min: 1n, max: 4n }),
      }),
      { freq: 2 },
    ),
    drain: fc.option(fc.record({ node: nodes, isFirm: fc.boolean() }), { freq: 2 }),
  }),
  { maxLength: 30 },
);

/** What the rest of the program does with the actions, as far as it can be checked. */
class Follower {
  admits: Admits = Admits.None;
  hurried: string | null = null;

  take(input: PromotionInput, before: PromotionState): PromotionState {
    const { state, actions } = stepPromotion(before, input);
    for (const action of actions) {
      switch (action.kind) {
        case 'hold':
          this.admits = admitsOf(state);
          break;
        case 'hurry':
          this.hurried = action.node ?? 'all';
          break;
        case 'rest':
          this.hurried = null;
          break;
        case 'release':
        default:
          assert.equal(action.node, input.primary, 'released to a node that is not proven');
          assert.equal(action.from, before.primary);
          assert.equal(
            action.outcome === ReleaseOutcome.Promoted,
            before.primary !== null && before.primary !== action.node,
          );
          assert.equal(action.outcome === ReleaseOutcome.First, before.primary === null);
          this.admits = Admits.All;
      }
    }
    return state;
  }
}

test('whatever it sees, it holds exactly while it is not stable, and releases to none but the proven primary', () => {
  fc.assert(
    fc.property(sights, (all) => {
      const follower = new Follower();
      let nowMs = 0;
      let state = initialPromotion(nowMs);
      for (const { elapsedMs, ...sight } of all) {
        nowMs += elapsedMs;
        const input: PromotionInput = { ...sight, nowMs, epochMs: nowMs, announceTimeoutMs: ANNOUNCE_TIMEOUT_MS };
        state = follower.take(input, state);

        assert.equal(follower.admits, admitsOf(state), 'every change is told');
        assert.equal(admitsOf(state) === Admits.All, state.phase === Phase.Stable);
        if (input.primary === null) assert.equal(follower.admits, Admits.None);
        if (input.primary !== null && input.drain?.node === input.primary && input.drain.isFirm) {
          assert.equal(follower.admits, Admits.None, 'nothing starts on a primary that is about to be stopped');
        }
        assert.equal(state.disturbedSinceMs === null, state.phase === Phase.Stable);
        if (state.phase === Phase.Stable) {
          assert.equal(state.primary, input.primary);
          assert.equal(follower.hurried, null);
        }
        if (state.phase === Phase.Announced) {
          assert.equal(state.primary, input.primary);
          const isAwaited =
            input.switchover !== null &&
            state.awaited?.revision === input.switchover.revision &&
            nowMs - state.awaited.sinceMs < ANNOUNCE_TIMEOUT_MS;
          assert.ok(isAwaited || input.drain?.node === input.primary);
          assert.equal(state.isFirm, input.drain?.node === input.primary && input.drain.isFirm);
        }
        if (state.phase === Phase.LeaderLost || state.phase === Phase.Confirming) {
          assert.equal(input.primary, null);
          assert.equal(state.phase === Phase.Confirming, input.leader !== null);
          assert.equal(state.candidate, input.leader);
        }
      }
    }),
    { numRuns: RUNS },
  );
});

test('the same sight again changes nothing', () => {
  fc.assert(
    fc.property(sights, (all) => {
      let nowMs = 0;
      let state = initialPromotion(nowMs);
      for (const { elapsedMs, ...sight } of all) {
        nowMs += elapsedMs;
        const input: PromotionInput = { ...sight, nowMs, epochMs: nowMs, announceTimeoutMs: ANNOUNCE_TIMEOUT_MS };
        const first = stepPromotion(state, input);
        const second = stepPromotion(first.state, input);
        assert.deepEqual(second, { state: first.state, actions: [] });
        state = second.state;
      }
    }),
    { numRuns: RUNS },
  );
});

test('once there is a primary and nothing is announced, everything goes on at once', () => {
  fc.assert(
    fc.property(sights, nodes, (all, primary) => {
      const follower = new Follower();
      let nowMs = 0;
      let state = initialPromotion(nowMs);
      const see = (sight: Pick<PromotionInput, 'primary' | 'leader' | 'switchover' | 'drain'>): void => {
        state = follower.take({ ...sight, nowMs, epochMs: nowMs, announceTimeoutMs: ANNOUNCE_TIMEOUT_MS }, state);
      };
      for (const { elapsedMs, ...sight } of all) {
        nowMs += elapsedMs;
        see(sight);
      }
      see({ primary, leader: primary, switchover: null, drain: null });
      assert.ok(follower.admits === Admits.All);
      assert.equal(state.primary, primary);
    }),
    { numRuns: RUNS },
  );
});

test('an announcement keeps nobody waiting longer than its time limit', () => {
  fc.assert(
    fc.property(sights, nodes, nodes, (all, primary, candidate) => {
      const follower = new Follower();
      let nowMs = 0;
      let state = initialPromotion(nowMs);
      for (const { elapsedMs, ...sight } of all) {
        nowMs += elapsedMs;
        state = follower.take({ ...sight, nowMs, epochMs: nowMs, announceTimeoutMs: ANNOUNCE_TIMEOUT_MS }, state);
      }
      const switchover = { leader: primary, candidate, scheduledAtEpochMs: null, revision: 9n };
      const look = (): void => {
        const sight = { primary, leader: primary, switchover, drain: null };
        state = follower.take({ ...sight, nowMs, epochMs: nowMs, announceTimeoutMs: ANNOUNCE_TIMEOUT_MS }, state);
      };
      look();
      look();
      nowMs += ANNOUNCE_TIMEOUT_MS;
      look();
      assert.ok(follower.admits === Admits.All);
      nowMs += 1;
      look();
      assert.ok(follower.admits === Admits.All, 'it is not announced again');
    }),
    { numRuns: RUNS },
  );
});
