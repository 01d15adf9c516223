import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { ClusterView } from '../../../src/cluster/view.js';
import { Admits } from '../../../src/session/context.js';
import type { SessionContext, SessionIntent } from '../../../src/session/context.js';
import { Navigator } from '../../../src/session/navigator.js';
import type { NavigatorOwner, NodeDecision } from '../../../src/session/navigator.js';
import { SessionRegistry } from '../../../src/session/registry.js';
import type { Split } from '../../../src/session/split/split.js';
import { Applied } from '../../../src/session/state/applied.js';
import type { UnitGlance } from '../../../src/session/state/unit-facts.js';
import { Repeat } from '../../../src/sql/analysis.js';
import { PinReason } from '../../../src/sql/pin-reason.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C, routeIntentOf, viewOf } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';
import { fakeBackend } from '../relay/relay-bench.js';

let view: ClusterView;
let admits: Admits;
let replayBytes: number;
let behind: Set<NodeName>;
let isPaused: boolean;
let pinReason: PinReason | null;
let nodes: readonly NodeName[];

beforeEach(() => {
  view = viewOf();
  admits = Admits.All;
  replayBytes = 1;
  behind = new Set();
  isPaused = false;
  pinReason = null;
  nodes = [];
});

function navigatorOf(over: Partial<SessionIntent> = {}): Navigator {
  const intent: SessionIntent = {
    ...routeIntentOf(),
    route: 'split',
    consistency: 'session',
    poolMode: 'session',
    ...over,
  };
  const context = {
    registry: new SessionRegistry(() => {}),
    clock: new FakeClock(),
    gate: {
      get admits() {
        return admits;
      },
      get isOpen() {
        return admits === Admits.All;
      },
      reason: 'a switchover',
    },
    pauses: {
      get isAny() {
        return isPaused;
      },
      isPaused: (database: string) => isPaused && database === 'app',
    },
    get limits() {
      return { rebalance: 'stale', replayBytes };
    },
    view: () => view,
  } as unknown as SessionContext;
  const split = { fence: { isCaughtUp: (node: NodeName) => !behind.has(node) } } as unknown as Split;
  const owner: NavigatorOwner = {
    identity: { database: 'app' },
    intent,
    state: {
      get pinReason() {
        return pinReason;
      },
    },
    get nodes() {
      return nodes;
    },
  };
  return new Navigator(owner, intent.route === 'split' ? split : null, context);
}

/** `target node reason`, or what else becomes of it. */
function say(
  navigator: Navigator,
  need: 'primary' | 'standby',
  current: NodeName | null = null,
  isRepeatable = false,
): string {
  const decision = navigator.decide(need, current, null, isRepeatable);
  if (decision.kind !== 'node') return `${decision.kind} ${decision.message}`;
  return `${decision.target} ${decision.node} ${decision.reason}`;
}

test('each unit goes by what it is for', () => {
  const navigator = navigatorOf();
  assert.equal(say(navigator, 'primary'), 'primary node1 primary');
  assert.match(say(navigator, 'standby'), /^standby node[23] balanced$/);
});

test('a standby that lacks something of what the session has seen is no choice', () => {
  const navigator = navigatorOf();
  behind.add(B);
  assert.equal(say(navigator, 'standby', B), 'standby node3 moves_away');
  behind.add(C);
  assert.equal(say(navigator, 'standby'), 'primary node1 fence');
  assert.match(
    say(navigatorOf({ route: 'standby' }), 'standby'),
    /^standby/,
    'a session of another route has no fence',
  );
});

test('a standby to be avoided is avoided until the unit has its node', () => {
  const navigator = navigatorOf();
  navigator.avoid(B);
  assert.equal(navigator.isAvoiding, true);
  assert.match(say(navigator, 'standby'), /^standby node3/);
  navigator.avoid(C);
  assert.match(say(navigator, 'standby'), /^primary node1/);
  navigator.settle();
  assert.equal(navigator.isAvoiding, false);
  assert.match(say(navigator, 'standby'), /^standby/);
});

test('the gate holds what is for the primary, but for what can be repeated while it is half open', () => {
  const navigator = navigatorOf();
  admits = Admits.Repeatable;
  assert.equal(say(navigator, 'primary'), 'hold a switchover');
  assert.equal(say(navigator, 'primary', null, true), 'primary node1 primary');
  admits = Admits.None;
  assert.equal(say(navigator, 'primary', null, true), 'hold a switchover');
  assert.match(say(navigator, 'standby'), /^standby/);
  behind.add(B).add(C);
  assert.equal(say(navigator, 'standby'), 'hold a switchover', 'a read that only the primary has waits too');
});

test('what can be repeated is only asked for where it is of interest', () => {
  const navigator = navigatorOf();
  const glance = (repeat: Repeat, begins = false): UnitGlance => ({ repeat, begins });
  assert.equal(navigator.mindsRepeat, false);
  admits = Admits.Repeatable;
  assert.equal(navigator.mindsRepeat, true);
  assert.equal(navigator.canRepeat(glance(Repeat.IfRolledBack)), true);
  assert.equal(navigator.canRepeat(glance(Repeat.Never)), false);
  assert.equal(navigator.canRepeat(glance(Repeat.Always, true)), false);
  replayBytes = 0;
  assert.equal(navigator.mindsRepeat, false);
  assert.equal(navigator.canRepeat(glance(Repeat.Always)), false, 'nothing is kept to be sent again');
});

test('a backend that has come is still right where the node is, whatever the load says', () => {
  const navigator = navigatorOf({ stickiness: 'none' });
  const decision: NodeDecision = { kind: 'node', node: B, target: 'standby', reason: 'balanced' };
  assert.equal(navigator.isStillRight('standby', decision, null, false), true);
  behind.add(B);
  assert.equal(navigator.isStillRight('standby', decision, null, false), false);
  const primary: NodeDecision = { kind: 'node', node: A, target: 'primary', reason: 'primary' };
  assert.equal(navigator.isStillRight('primary', primary, null, false), true);
  view = viewOf({ primary: B, leader: B });
  assert.equal(navigator.isStillRight('primary', primary, null, false), false);
});

test('a backend is settled in one picture of the cluster, while the gate is open and nothing newer was seen', () => {
  const navigator = navigatorOf();
  const berth = {
    backend: fakeBackend(B).backend,
    target: 'standby' as const,
    applied: new Applied(),
    settledIn: view,
  };
  assert.equal(navigator.isSettled(berth), true);
  behind.add(B);
  assert.equal(navigator.isSettled(berth), false);
  behind.clear();
  admits = Admits.Repeatable;
  assert.equal(navigator.isSettled(berth), false);
  admits = Admits.All;
  view = viewOf({ epoch: 2 });
  assert.equal(navigator.isSettled(berth), false);
  const balanced = navigatorOf({ stickiness: 'none' });
  assert.equal(balanced.isSettled({ ...berth, settledIn: view }), false, 'each read is balanced anew');
  assert.equal(balanced.isSettled({ ...berth, target: 'primary', settledIn: view }), true);
});

test('units of a paused database wait, but for those of a session whose backend nobody else could end', () => {
  const navigator = navigatorOf();
  isPaused = true;
  assert.equal(say(navigator, 'primary', A), 'hold database "app" is paused');
  assert.equal(say(navigator, 'standby'), 'hold database "app" is paused');
  pinReason = PinReason.TemporaryObject;
  assert.equal(say(navigator, 'primary'), 'hold database "app" is paused');
  nodes = [A];
  assert.equal(say(navigator, 'primary', A), 'primary node1 stays');
});
