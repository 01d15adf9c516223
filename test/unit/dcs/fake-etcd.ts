import type {
  EtcdEndpoint,
  EtcdHeader,
  EtcdReading,
  EtcdWatch,
  EtcdWatchHandler,
} from '../../../src/dcs/etcd3-endpoint.js';
import type { RawKey } from '../../../src/dcs/patroni-keys.js';
import type { KeyEvent } from '../../../src/dcs/patroni-store.js';

/** What a fake member does when it is asked. */
export type Manner = 'answers' | 'refuses' | 'is silent';

/** A cluster of etcd in memory: revisions, keys and events as the real one counts them. */
export class FakeEtcd {
  clusterId = 'cluster-1';
  raftTerm = 2n;
  revision = 1n;
  keys: readonly RawKey[] = [];
  readonly members: FakeMember[] = [];
  #log: KeyEvent[] = [];

  member(name: string): FakeMember {
    const member = new FakeMember(name, this);
    this.members.push(member);
    return member;
  }

  get header(): EtcdHeader {
    return { clusterId: this.clusterId, raftTerm: this.raftTerm, revision: this.revision };
  }

  put(suffix: string, value: string): void {
    this.transaction({ [suffix]: value });
  }

  delete(...suffixes: readonly string[]): void {
    this.transaction(Object.fromEntries(suffixes.map((suffix) => [suffix, null])));
  }

  /** Writes and deletes (null) in one revision. */
  transaction(changes: Readonly<Record<string, string | null>>): void {
    this.revision += 1n;
    const { revision } = this;
    const events = Object.entries(changes).map(([suffix, value]): KeyEvent => {
      const before = this.keys.find((key) => key.suffix === suffix);
      this.keys = this.keys.filter((key) => key.suffix !== suffix);
      if (value === null) {
        return { kind: 'delete', revision, suffix };
      }
      const key = { suffix, value, createRevision: before?.createRevision ?? revision, modRevision: revision };
      this.keys = [...this.keys, key];
      return { kind: 'put', revision, key };
    });
    this.#log.push(...events);
    for (const member of this.members) {
      for (const watch of member.watches) {
        watch.tell(events);
      }
    }
  }

  /** Events from a revision on, for a watch that begins in the past. */
  since(revision: bigint): readonly KeyEvent[] {
    return this.#log.filter((event) => event.revision >= revision);
  }

  /** The same address, but everything begins again. */
  rebuild(clusterId: string): void {
    this.clusterId = clusterId;
    this.raftTerm = 2n;
    this.revision = 1n;
    this.keys = [];
    this.#log = [];
  }
}

/** One member of a {@link FakeEtcd}. */
export class FakeMember implements EtcdEndpoint {
  readonly name: string;
  readonly #etcd: FakeEtcd;
  manner: Manner = 'answers';
  watchManner: Manner = 'answers';
  /** Watches that are open here. */
  readonly watches = new Set<FakeWatch>();
  reads = 0;
  watchesBegun = 0;
  closed = false;
  readonly #waiting = new Set<(error: Error) => void>();
  /** While set, answers wait: each is the state at the time of the question. */
  #held: (() => void)[] | null = null;

  constructor(name: string, etcd: FakeEtcd) {
    this.name = name;
    this.#etcd = etcd;
  }

  hold(): void {
    this.#held = [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const answer of held) answer();
  }

  read(): Promise<EtcdReading> {
    this.reads += 1;
    const reading: EtcdReading = { header: this.#etcd.header, keys: this.#etcd.keys };
    if (this.manner === 'refuses') {
      return Promise.reject(
        new Error('14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED 10.0.0.1:2379'),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      const answer = () => {
        this.#waiting.delete(reject);
        resolve(reading);
      };
      if (this.manner === 'answers' && this.#held === null) answer();
      else this.#held?.push(answer);
    });
  }

  watch(_prefix: string, fromRevision: bigint, handler: EtcdWatchHandler): EtcdWatch {
    this.watchesBegun += 1;
    const watch = new FakeWatch(this, handler);
    this.watches.add(watch);
    queueMicrotask(() => {
      if (this.watchManner === 'refuses') {
        watch.break(new Error('etcd cancelled the watch: etcdserver: permission denied'));
      } else if (this.watchManner === 'answers') {
        watch.create(this.#etcd.header);
        watch.tell(this.#etcd.since(fromRevision));
      }
    });
    return watch;
  }

  close(): void {
    this.closed = true;
    for (const reject of this.#waiting) reject(new Error('closed'));
    this.#waiting.clear();
    for (const watch of this.watches) watch.close();
  }

  header(): EtcdHeader {
    return this.#etcd.header;
  }
}

/** A watch on a {@link FakeMember}. */
export class FakeWatch implements EtcdWatch {
  readonly #member: FakeMember;
  readonly #handler: EtcdWatchHandler;
  /** Says nothing any more, and nobody notices. */
  isMute = false;

  constructor(member: FakeMember, handler: EtcdWatchHandler) {
    this.#member = member;
    this.#handler = handler;
  }

  create(header: EtcdHeader): void {
    if (this.#isOpen) this.#handler.onCreated(header);
  }

  tell(events: readonly KeyEvent[], header: EtcdHeader = this.#member.header()): void {
    if (this.#isOpen && !this.isMute && events.length > 0) this.#handler.onEvents(header, events);
  }

  break(error: Error = new Error('13 INTERNAL: Connection dropped')): void {
    if (this.#member.watches.delete(this)) this.#handler.onBroken(error);
  }

  close(): void {
    this.#member.watches.delete(this);
  }

  get #isOpen(): boolean {
    return this.#member.watches.has(this);
  }
}
