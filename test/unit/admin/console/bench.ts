import { Conversation } from '../../../../src/admin/console/conversation.js';
import { Runner } from '../../../../src/admin/console/runner.js';
import type { ConsoleFacts, TalkingClient } from '../../../../src/admin/console/facts.js';
import { silentLogger } from '../../../../src/log.js';
import { TrafficPeriods } from '../../../../src/metrics/traffic-periods.js';
import { TrafficTable } from '../../../../src/metrics/traffic.js';
import type { ConsoleClient } from '../../../../src/session/console-door.js';
import { FakeWire } from '../../../support/fake-wire.js';
import { proxyOf } from '../proxy-of.js';
import type { FakeProxy } from '../proxy-of.js';
import { FakeControls } from './fake-controls.js';

const CONFIG = `
cluster: { scope: yard, etcd3: { hosts: ["127.0.0.1:2379"] } }
listeners:
  - { name: rw, address: "127.0.0.1:5000", route: primary }
  - { name: split, address: "127.0.0.1:6432", route: split }
admin: { users: root, stats_users: [watcher] }
auth: { users: [{ name: app, password: secret }] }
`;

export function clientOf(user: string, id = 900): ConsoleClient {
  return {
    id,
    user,
    applicationName: 'psql',
    clientAddress: '127.0.0.1',
    clientPort: 50_900,
    listener: 'rw',
    cancelKey: { processId: id, key: Buffer.alloc(4) },
  };
}

/** A console without a server: made-up facts, controls that write down what they are asked, and clients without a peer. */
export class ConsoleBench {
  readonly proxy: FakeProxy;
  readonly controls = new FakeControls();
  readonly traffic = new TrafficTable();
  readonly periods: TrafficPeriods;
  readonly runner: Runner;
  /** Ids of clients of the console that were ended. */
  readonly ended: number[] = [];
  talking: readonly TalkingClient[] = [];

  constructor(wishes: Parameters<typeof proxyOf>[0] = {}) {
    this.proxy = proxyOf({ config: CONFIG, ...wishes });
    this.periods = new TrafficPeriods(this.traffic, this.proxy.clock, 60_000);
    this.runner = new Runner({
      proxy: this.proxy,
      controls: () => this.controls,
      facts: () => this.facts,
      endClient: (id) => {
        this.ended.push(id);
        return id === 900;
      },
    });
  }

  get facts(): ConsoleFacts {
    return {
      proxy: this.proxy,
      periods: this.periods,
      controls: this.controls,
      clients: this.talking,
      defaults: () => new Map([['pool.size', '100']]),
      version: '1.2.3',
    };
  }

  /** A client that has been greeted. */
  connect(user: string): {
    readonly conversation: Conversation;
    readonly wire: FakeWire;
    readonly closed: () => boolean;
  } {
    const wire = new FakeWire();
    let isClosed = false;
    const conversation = new Conversation(wire, clientOf(user), {
      clock: this.proxy.clock,
      logger: silentLogger,
      runner: this.runner,
      parameters: [['server_version', '10.0']],
      onClosed: () => {
        isClosed = true;
      },
    });
    conversation.begin(Buffer.alloc(0));
    return { conversation, wire, closed: () => isClosed };
  }
}
