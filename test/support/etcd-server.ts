import { mkdtemp, rm, rmdir } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { requirePrograms } from './install.js';
import { freePorts } from './ports.js';
import { TestProcess, waitFor } from './processes.js';

const HEALTHY_TIMEOUT_MS = 20_000;
const REQUEST_TIMEOUT_MS = 5_000;
const LOG_TAIL_CHARS = 3000;

export interface EtcdServerOptions {
  /** More arguments for etcd, such as `--auth-token-ttl 1`. */
  readonly args?: readonly string[];
  /** PEM files; opens `tlsPort` besides `port`. With `caFile` clients must show a certificate. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly caFile?: string };
  /** Gives the command prefix that runs a member, by its name, in a group of its own: see `Partitions.join`. */
  readonly joinGroup?: (member: string) => Promise<readonly string[]>;
}

interface Peer {
  readonly name: string;
  readonly peerPort: number;
}

/** What the JSON gateway of etcd answers; numbers come as texts. */
interface GatewayAnswer {
  readonly header?: { readonly cluster_id: string; readonly revision: string; readonly raft_term: string };
  readonly ID?: string;
  readonly token?: string;
  readonly kvs?: readonly unknown[];
}

/** A real etcd on the loopback address with its data in a temporary folder; stopped at first. */
export class EtcdServer {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly tlsPort: number;
  /** Where the other members reach it. */
  readonly peerPort: number;
  readonly name: string;
  readonly #program: string;
  readonly #folder: string;
  readonly #peers: readonly Peer[];
  readonly #options: EtcdServerOptions;
  #token = 'first';
  #process: TestProcess | null = null;
  #login: string | null = null;

  private constructor(
    program: string,
    folder: string,
    self: Peer & { readonly port: number; readonly tlsPort: number },
    peers: readonly Peer[],
    options: EtcdServerOptions,
  ) {
    this.#program = program;
    this.#folder = folder;
    this.#peers = peers;
    this.#options = options;
    this.name = self.name;
    this.port = self.port;
    this.tlsPort = self.tlsPort;
    this.peerPort = self.peerPort;
  }

  /** Makes the members of one cluster, all stopped. Throws with advice when etcd is not installed. */
  static async createCluster(size: number, options: EtcdServerOptions = {}): Promise<EtcdServer[]> {
    const [program = ''] = await requirePrograms('etcd');
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-etcd-'));
    const ports = await freePorts(size * 3);
    const peers = Array.from({ length: size }, (_, index) => ({
      name: `etcd${index + 1}`,
      peerPort: ports[index * 3] ?? 0,
    }));
    return peers.map((peer, index) => {
      const self = { ...peer, port: ports[index * 3 + 1] ?? 0, tlsPort: ports[index * 3 + 2] ?? 0 };
      return new EtcdServer(program, folder, self, peers, options);
    });
  }

  get address(): { readonly host: string; readonly port: number } {
    return { host: this.host, port: this.port };
  }

  get isRunning(): boolean {
    return this.#process?.isRunning ?? false;
  }

  /** Starts the process without waiting until it serves. */
  async launch(): Promise<void> {
    const flags = Object.entries(this.#flags()).map(([flag, value]) => `--${flag}=${value}`);
    const join = (await this.#options.joinGroup?.(this.name)) ?? [];
    const command = [...join, this.#program, '--unsafe-no-fsync', ...flags, ...(this.#options.args ?? [])];
    this.#process = await TestProcess.start(this.name, command, { deathSignal: 'KILL' });
  }

  #flags(): Record<string, string> {
    const { tls } = this.#options;
    const plainUrl = `http://${this.host}:${this.port}`;
    const clientUrls = tls === undefined ? plainUrl : `${plainUrl},https://${this.host}:${this.tlsPort}`;
    const peerUrl = (peer: Peer) => `http://${this.host}:${peer.peerPort}`;
    const ownPeerUrl = this.#peers.filter((peer) => peer.name === this.name).map(peerUrl)[0] ?? '';
    return {
      name: this.name,
      'data-dir': join(this.#folder, this.name),
      'listen-client-urls': clientUrls,
      'advertise-client-urls': clientUrls,
      'listen-peer-urls': ownPeerUrl,
      'initial-advertise-peer-urls': ownPeerUrl,
      'initial-cluster': this.#peers.map((peer) => `${peer.name}=${peerUrl(peer)}`).join(),
      'initial-cluster-token': this.#token,
      'heartbeat-interval': '50',
      'election-timeout': '500',
      logger: 'zap',
      'log-level': 'warn',
      ...(tls === undefined ? {} : { 'cert-file': tls.certFile, 'key-file': tls.keyFile }),
      ...(tls?.caFile === undefined ? {} : { 'client-cert-auth': 'true', 'trusted-ca-file': tls.caFile }),
    };
  }

  /** Waits until it serves reads that need a quorum. */
  async healthy(): Promise<void> {
    await waitFor(
      async () => {
        if (this.#process?.isRunning !== true) {
          throw new Error(`${this.name} has ended: ${this.#process?.log.slice(-LOG_TAIL_CHARS) ?? 'never started'}`);
        }
        await this.revision();
        return true;
      },
      { timeoutMs: HEALTHY_TIMEOUT_MS, what: `etcd on port ${this.port}` },
    );
  }

  async start(): Promise<void> {
    await this.launch();
    await this.healthy();
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  /** SIGKILL: the power goes. */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** SIGSTOP: connections are accepted, nothing is answered. */
  freeze(): void {
    this.#process?.freeze();
  }

  thaw(): void {
    this.#process?.thaw();
  }

  /** Starts again without data: as another cluster, or (same id, revisions from one again) as the same one restored from nothing. */
  async rebuild(identity: 'new' | 'same'): Promise<void> {
    await this.kill();
    await rm(join(this.#folder, this.name), { recursive: true, force: true });
    this.#token = identity === 'new' ? `${this.#token}-again` : this.#token;
    await this.start();
  }

  /** Ends the process and removes its data. */
  async close(): Promise<void> {
    await this.kill();
    await rm(join(this.#folder, this.name), { recursive: true, force: true });
    // The last member takes the folder that they share.
    await rmdir(this.#folder).catch(() => {});
  }

  /** Writes a key and returns the new revision. */
  async put(key: string, value: string, lease?: string): Promise<bigint> {
    const answer = await this.call('kv/put', {
      key: base64(key),
      value: base64(value),
      ...(lease === undefined ? {} : { lease }),
    });
    return revisionOf(answer);
  }

  /** Deletes a key, or every key of a folder when it ends in a slash; returns the new revision. */
  async delete(key: string): Promise<bigint> {
    const end = key.endsWith('/') ? { range_end: base64(`${key.slice(0, -1)}0`) } : {};
    return revisionOf(await this.call('kv/deleterange', { key: base64(key), ...end }));
  }

  /** The newest revision, by a linearizable read. */
  async revision(): Promise<bigint> {
    return revisionOf(await this.call('kv/range', { key: base64('/') }));
  }

  async compact(revision: bigint): Promise<void> {
    await this.call('kv/compaction', { revision: String(revision), physical: true });
  }

  /** A lease of `ttlS` seconds; returns its id. */
  async grantLease(ttlS: number): Promise<string> {
    return (await this.call('lease/grant', { TTL: String(ttlS) })).ID ?? '';
  }

  /** Ends a lease now: all its keys go in one revision. */
  async revokeLease(lease: string): Promise<void> {
    await this.call('lease/revoke', { ID: lease });
  }

  /** Turns authentication on, with `root` (and the same password) and a user that may read `prefix` only. */
  async enableAuth(user: string, password: string, prefix: string): Promise<void> {
    const perm = { permType: 'READ', key: base64(prefix), range_end: base64(`${prefix.slice(0, -1)}0`) };
    await this.call('auth/user/add', { name: 'root', password });
    await this.call('auth/role/add', { name: 'root' });
    await this.call('auth/user/grant', { user: 'root', role: 'root' });
    await this.call('auth/user/add', { name: user, password });
    await this.call('auth/role/add', { name: 'reader' });
    await this.call('auth/role/grant', { name: 'reader', perm });
    await this.call('auth/user/grant', { user, role: 'reader' });
    await this.call('auth/enable', {});
    await this.logInAsRoot(password);
  }

  /** After authentication was turned on, or the tokens are gone: later calls of this object are root's. */
  async logInAsRoot(password: string): Promise<void> {
    this.#login = null;
    this.#login = (await this.call('auth/authenticate', { name: 'root', password })).token ?? null;
  }

  /** One call of the JSON gateway (etcd documentation, "Why gRPC gateway"). */
  async call(path: string, body: object): Promise<GatewayAnswer> {
    const text = await this.#request('POST', `/v3/${path}`, JSON.stringify(body));
    return JSON.parse(text) as GatewayAnswer;
  }

  /** The value of a metric, such as `etcd_debugging_mvcc_watcher_total`; null when there is none of that name. */
  async metric(name: string): Promise<number | null> {
    const line = (await this.#request('GET', '/metrics', '')).split('\n').find((text) => text.startsWith(`${name} `));
    return line === undefined ? null : Number(line.slice(name.length + 1));
  }

  #request(method: 'GET' | 'POST', path: string, body: string): Promise<string> {
    const { host, port } = this;
    const headers = this.#login === null ? {} : { authorization: this.#login };
    return new Promise((resolve, reject) => {
      const options = { host, port, path, method, headers, agent: false, timeout: REQUEST_TIMEOUT_MS };
      const call = request(options, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        answer.on('error', reject);
        answer.on('end', () => {
          if (answer.statusCode === 200) resolve(text);
          else reject(new Error(`${path}: ${text}`));
        });
      });
      call.on('error', reject);
      call.on('timeout', () => call.destroy(new Error(`${path}: no answer`)));
      call.end(body);
    });
  }
}

/** A running etcd, closed after the test. */
export async function startEtcd(t: TestContext, options: EtcdServerOptions = {}): Promise<EtcdServer> {
  const [server] = await startEtcdCluster(t, 1, options);
  if (server === undefined) throw new Error('no etcd');
  return server;
}

/** A running cluster of etcd, closed after the test. */
export async function startEtcdCluster(
  t: TestContext,
  size: number,
  options: EtcdServerOptions = {},
): Promise<EtcdServer[]> {
  const members = await EtcdServer.createCluster(size, options);
  t.after(() => Promise.all(members.map((member) => member.close())));
  await Promise.all(members.map((member) => member.launch()));
  await Promise.all(members.map((member) => member.healthy()));
  return members;
}

function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

function revisionOf(answer: GatewayAnswer): bigint {
  return BigInt(answer.header?.revision ?? '0');
}
