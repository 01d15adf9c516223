import type { Backend } from '../../../src/backend/backend.js';
import { deafSink } from '../../../src/backend/idle-sink.js';
import { SinkMode } from '../../../src/backend/backend.js';
import { silentLogger } from '../../../src/log.js';
import { Counters } from '../../../src/metrics/counters.js';
import type { ErrorFields } from '../../../src/protocol/error-fields.js';
import { Berths } from '../../../src/session/berths.js';
import type { Berth, Target } from '../../../src/session/berths.js';
import type { SessionContext, SessionIntent } from '../../../src/session/context.js';
import { SharedBackends } from '../../../src/session/pooled/shared-backends.js';
import { SessionRegistry } from '../../../src/session/registry.js';
import type { NodeName } from '../../../src/util/brand.js';
import { FakeClock } from '../../support/fake-clock.js';
import type { FakeWire } from '../../support/fake-wire.js';
import { fakeBackend, RelayBench } from '../relay/relay-bench.js';

/** A backend that was given back. */
export interface Released {
  readonly backend: Backend;
  readonly reason: string;
  readonly isCleanable: boolean;
}

/** The backends of a split session, a real relay and a real registry; the nodes, the client and the pool are the test's. */
export class BerthsBench {
  readonly relays = new RelayBench();
  readonly registry = new SessionRegistry(() => {});
  readonly counters = new Counters();
  readonly released: Released[] = [];
  readonly left: Berth[] = [];
  readonly parkedLost: { readonly berth: Berth; readonly farewell: ErrorFields | null }[] = [];
  readonly wires = new Map<Backend, FakeWire>();
  isCleanable = true;
  /** What it has is to be closed. */
  isRetired = false;
  /** What it gives back goes to others as it is. */
  isPooled = false;
  route: SessionIntent['route'] = 'split';
  readonly context: SessionContext;
  readonly berths: Berths;

  constructor() {
    this.relays.relay.detach();
    const { registry, counters, released, relays } = this;
    this.context = {
      registry,
      counters,
      logger: silentLogger,
      shared: new SharedBackends({ of: () => null }, new FakeClock(), () => 100),
      pool: {
        release: (backend: Backend, reason: string, isCleanable = true) => {
          released.push({ backend, reason, isCleanable });
          backend.attach(deafSink, SinkMode.Own);
        },
        isRetired: () => this.isRetired,
        putBack: (backend: Backend) => backend.attach(deafSink, SinkMode.Own),
      },
    } as unknown as SessionContext;
    const isCleanable = (): boolean => this.isCleanable;
    const isPooled = (): boolean => this.isPooled;
    const route = (): SessionIntent['route'] => this.route;
    this.berths = new Berths(
      {
        id: 1,
        relay: relays.relay,
        get intent() {
          return { route: route() } as SessionIntent;
        },
        get isCleanable() {
          return isCleanable();
        },
        get isPooled() {
          return isPooled();
        },
        isFreeOf: isPooled,
        onLeft: (berth) => void this.left.push(berth),
        onParkedLost: (berth, farewell) => void this.parkedLost.push({ berth, farewell }),
      },
      this.context,
    );
  }

  /** A backend comes from the pool, as a seeker has it. */
  arrive(name: NodeName, target: Target, reason = 'balanced'): Berth {
    this.berths.expect(name);
    if (this.berths.attached !== null) this.berths.park();
    const { backend, wire } = fakeBackend(name);
    this.wires.set(backend, wire);
    const berth = this.berths.arrived(backend, target, reason);
    this.relays.relay.attach(backend, null);
    return berth;
  }

  /** The parked backend takes the place of the other one. */
  swap(): void {
    const berth = this.berths.swap();
    if (berth !== null) this.relays.relay.attach(berth.backend, null);
  }

  wireOf(berth: Berth | null): FakeWire | undefined {
    return berth === null ? undefined : this.wires.get(berth.backend);
  }

  /** The node of the attached backend closes the connection. */
  loseAttached(): Target | null {
    const wire = this.wireOf(this.berths.attached);
    if (wire === undefined) return null;
    wire.lose();
    return this.berths.lost();
  }
}
