import { Backend, SinkMode } from '../../../src/backend/backend.js';
import { deafSink } from '../../../src/backend/idle-sink.js';
import { Counters } from '../../../src/metrics/counters.js';
import { SessionTraffic, TrafficTable } from '../../../src/metrics/traffic.js';
import type { ErrorFields } from '../../../src/protocol/error-fields.js';
import { clientCollectTable } from '../../../src/relay/client-collect.js';
import { Admission } from '../../../src/relay/relay.js';
import type { Loss, RelayOwner, Replay } from '../../../src/relay/relay.js';
import { StreamRelay } from '../../../src/relay/stream-relay.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeWire } from '../../support/fake-wire.js';
import { wordsOf } from '../../support/node-messages.js';

/** A backend without a node; the test says what that says. */
export function fakeBackend(name: NodeName = A): { readonly backend: Backend; readonly wire: FakeWire } {
  const wire = new FakeWire();
  const identity = { node: name, host: '127.0.0.1', port: 5432, user: 'app', database: 'app' };
  const backend = new Backend(identity, wire, deafSink, 1 << 24, 0);
  backend.attach(deafSink, SinkMode.Relay);
  return { backend, wire };
}

/** A relay between a client and a node that are both the test. What its owner is told is `said`, and what that answers can be set. */
export class RelayBench {
  readonly client = new FakeWire();
  readonly relay: StreamRelay;
  readonly said: string[] = [];
  readonly losses: Loss[] = [];
  node: FakeWire;
  backend: Backend;
  admits: (text: string) => Admission = () => Admission.Go;
  /** Which errors of the node are refusals. */
  refuses: (fields: ErrorFields) => boolean = ({ sqlState }) => sqlState === '25006';
  /** What the client hears in place of an error. */
  saysInstead: (sqlState: string) => Buffer | null = () => null;
  takesBack = true;
  goesOn = false;
  stalePlan: Replay | null = null;
  tellsParameters = true;
  /** Called where the refused units are about to be read again. */
  onRefused: () => void = () => {};
  replayBytes = 1 << 20;

  constructor() {
    const limits = { messageBytesMax: 1 << 24, replayBytesMax: () => this.replayBytes };
    const collect = clientCollectTable(1 << 20);
    const traffic = new SessionTraffic(new TrafficTable().enter('app', 'app'), new FakeClock());
    const counters = new Counters();
    this.relay = new StreamRelay(this.client, Buffer.alloc(0), this.#owner(), collect, limits, counters, traffic);
    const { backend, wire } = fakeBackend();
    this.backend = backend;
    this.node = wire;
    this.relay.askAtUnit = true;
    this.relay.attach(backend, null);
    this.relay.resume();
  }

  /** See RelayOwner. */
  substituteFor: RelayOwner['substituteFor'] = () => null;

  /** What the client has heard since the last look. */
  get heard(): string {
    return wordsOf(this.client.take());
  }

  /** What the node has heard since the last look. */
  get sent(): string {
    return wordsOf(this.node.take());
  }

  /** Another backend in place of the one that is attached. */
  change(name: NodeName): void {
    const { backend, wire } = fakeBackend(name);
    this.relay.detach();
    this.backend = backend;
    this.node = wire;
    this.relay.attach(backend, null);
  }

  takeSaid(): string {
    return this.said.splice(0).join(' ');
  }

  #owner(): RelayOwner {
    const note = (what: string): void => void this.said.push(what);
    return {
      onUnitStart: (_type, buffer, start, end) => this.admits(buffer.toString('latin1', start, Math.max(start, end))),
      onUnitGoesOn: () => {
        if (!this.goesOn) return false;
        note('goes-on');
        // What a session does here; not from inside the call.
        queueMicrotask(() => this.relay.endUnit());
        return true;
      },
      onClientFrame: () => {},
      substituteFor: (type, buffer, start, end) => this.substituteFor(type, buffer, start, end),
      onTerminate: () => note('terminate'),
      onClientViolation: (message) => note(`violation ${message}`),
      onClientEnd: () => note('client-end'),
      onClientClose: () => note('client-close'),
      onParameter: () => {
        note('parameter');
        return this.tellsParameters;
      },
      onAcknowledged: () => note('acknowledged'),
      onCommandEnd: () => note('command'),
      onBackendError: ({ sqlState }) => {
        note(`error-${sqlState}`);
        return this.saysInstead(sqlState);
      },
      onUnitEnd: () => note('unit'),
      onQuiet: () => note('quiet'),
      onReplayError: ({ sqlState }, part) => note(`replay-error-${sqlState}-${part}`),
      onReplayDone: () => {
        note('replayed');
        if (this.goesOn) queueMicrotask(() => this.relay.resume());
      },
      onBackendLost: (loss) => {
        note('lost');
        this.losses.push(loss);
      },
      mayTakeBack: () => this.takesBack,
      onStalePlan: () => this.stalePlan,
      onUnitTakenBack: () => note('taken-back'),
      onRefusal: (fields) => this.refuses(fields),
      onUnitsRefused: () => {
        note('refused');
        this.onRefused();
      },
      transactionEnd: () => null,
      onCommandFailed: () => note('command-failed'),
      onSubstituteEnd: () => note('substitute-end'),
      onTransactionReopened: () => {},
    };
  }
}
