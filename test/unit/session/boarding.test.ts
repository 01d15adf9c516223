import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Boarding } from '../../../src/session/boarding.js';
import type { Berth, Target } from '../../../src/session/berths.js';
import type { SessionIntent } from '../../../src/session/context.js';
import { SwitchyardError } from '../../../src/errors.js';
import { Greeter } from '../../../src/session/greeter.js';
import { Greetings } from '../../../src/session/greetings.js';
import type { SessionIdentity } from '../../../src/session/identity.js';
import { greeting } from '../../../src/session/split/chooser.js';
import type { UnitChoice } from '../../../src/session/split/chooser.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, routeIntentOf } from '../../support/cluster-fakes.js';
import { node, wordsOf } from '../../support/node-messages.js';
import { frontend, message } from '../../support/raw-messages.js';
import { fakeBackend } from '../relay/relay-bench.js';
import { BerthsBench } from './berths-bench.js';
import { Talk } from './state/conversation-state.js';

const identity: SessionIdentity = {
  user: 'app',
  database: 'app',
  applicationName: '',
  clientAddress: '127.0.0.1',
  clientPort: 1,
  listener: 'all',
  credentials: { kind: 'none' } as unknown as SessionIdentity['credentials'],
  parameters: new Map(),
  startupKey: '',
  startSettings: new Map(),
  ownSettings: new Map(),
  isReplication: false,
  protocol: 196_608,
  cancelKey: { processId: 1, key: Buffer.alloc(4) },
};
const intent: SessionIntent = { ...routeIntentOf(), route: 'split', consistency: 'session', poolMode: 'session' };

let bench: BerthsBench;
let talk: Talk;
let boarding: Boarding;
let shown: string | null;

beforeEach(() => {
  bench = new BerthsBench();
  talk = new Talk();
  shown = null;
  boarding = boardingOf(true);
});

function boardingOf(isOnDemand: boolean): Boarding {
  const greeter = new Greeter(identity, intent, new Greetings(), () => false);
  greeter.greet(new Map([['TimeZone', 'UTC']]));
  const { state } = talk;
  const owner = { id: 1, isPooled: false, state, relay: bench.relays.relay, ownSettingShown: () => shown };
  return new Boarding(owner, bench.berths, greeter, isOnDemand, bench.context);
}

/** A new backend; what it has to take, or nothing. */
function board(name: NodeName, target: Target): Berth {
  bench.berths.expect(name);
  if (bench.berths.attached !== null) bench.berths.park();
  const { backend, wire } = fakeBackend(name);
  backend.parameters.set('TimeZone', 'UTC');
  bench.wires.set(backend, wire);
  const berth = bench.berths.arrived(backend, target, 'balanced');
  const isRunning = boarding.board(berth);
  assert.equal(isRunning, boarding.isRunning);
  return berth;
}

function needs(over: Partial<UnitChoice> = {}): UnitChoice {
  return { ...greeting, ...over };
}

/** What the backend was sent. */
function sent(berth: Berth): string {
  return wordsOf(bench.wireOf(berth)?.take() ?? Buffer.alloc(0));
}

test('a backend gets what the session has set, once, before anything of the client', () => {
  talk.query('set geqo = off');
  const primary = board(A, 'primary');
  assert.equal(sent(primary), 'Q(set geqo = off)');
  bench.wireOf(primary)?.hear(node.complete('SET'), node.ready());
  assert.equal(boarding.done(), null);
  assert.equal(boarding.isRunning, false);
  assert.equal(boarding.takeUp(primary, needs()), false);
  assert.equal(sent(primary), '');
});

test('a backend that is taken up again gets what has changed meanwhile', () => {
  const standby = board(B, 'standby');
  const primary = board(A, 'primary');
  talk.query('set enable_seqscan = off');
  assert.equal(boarding.takeUp(standby, needs()), true);
  assert.equal(bench.berths.attached, standby);
  assert.deepEqual([sent(standby), sent(primary)], ['Q(set enable_seqscan = off)', '']);
  bench.wireOf(standby)?.hear(node.complete('SET'), node.ready());
  assert.equal(boarding.done(), null);
  assert.equal(boarding.takeUp(primary, needs()), false, 'there it was set by the client itself');
});

test('a unit gets the prepared statements that it needs, and no other', () => {
  const primary = board(A, 'primary');
  talk.prepare('one', 'select 1').prepare('two', 'select 2');
  const standby = board(B, 'standby');
  assert.equal(sent(standby), '', 'nothing before it is needed');
  assert.equal(boarding.takeUp(standby, needs({ names: ['two'] })), false, 'the unit need not wait');
  assert.equal(boarding.isAhead, true);
  bench.relays.client.hear(frontend.sync());
  assert.equal(sent(standby), 'C(Stwo) P S S', 'in front of it, in one write');
  bench.wireOf(standby)?.hear(message('3'), node.parsed(), node.ready());
  assert.equal(boarding.done(), null);
  assert.deepEqual([boarding.lacksStatement, boarding.isAhead], [false, false]);
  assert.equal(boarding.takeUp(standby, needs({ names: ['two'] })), false);
  assert.equal(boarding.isAhead, false);
  assert.equal(boarding.takeUp(primary, needs({ names: ['one', 'two'] })), false, 'the client prepared them there');
});

test('a statement that cannot be prepared is no end of the session', () => {
  board(A, 'primary');
  talk.prepare('one', 'select 1 from gone');
  const standby = board(B, 'standby');
  boarding.takeUp(standby, needs({ names: ['one'] }));
  boarding.failed({ severity: 'ERROR', sqlState: '42P01', message: 'no', detail: null, hint: null, routine: '' }, 0);
  assert.equal(boarding.done(), null);
  assert.equal(boarding.lacksStatement, true);
  const missing = { severity: 'ERROR', sqlState: '26000', detail: null, hint: null, routine: '' };
  const causeOf = (message: string) => boarding.causeOf({ ...missing, message })?.sqlState;
  assert.equal(causeOf('prepared statement "one" does not exist'), '42P01');
  assert.equal(causeOf('prepared statement "two" does not exist'), undefined);
});

test('a setting that is refused is', () => {
  talk.query('set geqo = off');
  const standby = board(B, 'standby');
  boarding.failed({ severity: 'ERROR', sqlState: '42501', message: 'no', detail: null, hint: null, routine: '' }, 0);
  const failure = boarding.done();
  assert.equal(failure instanceof SwitchyardError && failure.code, 'replay_failed');
  assert.equal(standby.applied.isKnown, false, 'nobody uses it any more');
});

test('a setting of ours is told the node before it is shown, once for each unit', () => {
  const primary = board(A, 'primary');
  shown = '16/10';
  const choice = needs({ target: 'primary', shows: 'fence' });
  assert.equal(boarding.takeUp(primary, choice), true);
  assert.match(String(bench.wireOf(primary)?.take()), /set_config\('switchyard\.fence', '16\/10'/);
  assert.equal(boarding.done(), null);
  assert.equal(boarding.takeUp(primary, choice), false, 'the unit asks again, and is let through');
  assert.equal(boarding.takeUp(primary, choice), true, 'that is the next one');
});

test('a transaction is begun where the next unit goes, once', () => {
  boarding.mustBegin = 'begin read only';
  const primary = board(A, 'primary');
  assert.equal(sent(primary), 'Q(begin read only)');
  bench.wireOf(primary)?.hear(node.complete('BEGIN'), node.ready('T'));
  assert.equal(boarding.done(), null);
  assert.equal(boarding.mustBegin, null);
});

test('the client hears what another backend reports of itself', () => {
  const standby = board(B, 'standby');
  const primary = board(A, 'primary');
  primary.backend.parameters.set('TimeZone', 'Europe/Vienna');
  boarding.takeUp(standby, needs());
  assert.equal(bench.relays.heard, '');
  boarding.takeUp(primary, needs());
  assert.equal(bench.relays.heard, 'S(TimeZone=Europe/Vienna)');
  boarding.takeUp(standby, needs());
  assert.equal(bench.relays.heard, 'S(TimeZone=UTC)');
});

test('a standby does not listen, and a primary does', () => {
  talk.query('listen news');
  const standby = board(B, 'standby');
  assert.equal(sent(standby), '');
  const primary = board(A, 'primary');
  assert.match(sent(primary), /listen/i);
});

test('a session that is not split gets all at once, and keeps its one backend', () => {
  talk.prepare('one', 'select 1');
  boarding = boardingOf(false);
  const primary = board(A, 'primary');
  assert.match(sent(primary), /^P S/);
  boarding.drop();
  assert.equal(boarding.isRunning, false);
  assert.equal(boarding.takeUp(primary, needs({ names: ['two'] })), false);
});
