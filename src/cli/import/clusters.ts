import { formatAddress, isHost, isLoopback } from '../../config/address.js';
import type { HostPort } from '../../config/address.js';
import { readEndpoint } from './addresses.js';
import type { DraftLine } from './draft.js';
import { Rank } from './draft.js';
import { Verdict, formatPlace } from './finding.js';
import type { Place } from './finding.js';
import type { PlannedListener } from './haproxy-listeners.js';
import type { Proxy } from './haproxy-proxies.js';
import type { Entry, Pgbouncer } from './pgbouncer.js';
import type { Work } from './work.js';

/** What the command line says about the cluster. */
export interface ClusterWishes {
  readonly etcd: readonly string[];
  readonly scope: string | null;
  /** A fixed list of nodes instead of etcd. */
  readonly nodes: boolean;
}

/** A server that the files name; whether it is a primary is for the cluster to say. */
interface Candidate extends HostPort {
  readonly name: string;
  readonly place: Place;
  readonly weight: number | null;
}

/** Where an entry of [databases] leads. */
interface Target {
  readonly entry: Entry;
  readonly hosts: readonly string[];
  readonly port: number;
  /** The listener of HAProxy that it goes through; null: straight to a server. */
  readonly listener: PlannedListener | null;
}

const POSTGRES_PORT = 5432;

/** Where the entries of [databases] lead, in their order. */
export function targetsOf(pgbouncer: Pgbouncer, listeners: readonly PlannedListener[]): readonly Target[] {
  return pgbouncer.databases.map((entry) => {
    const hosts = (entry.values.get('host') ?? '')
      .split(',')
      .map((host) => host.trim())
      .filter((host) => host !== '');
    const port = Number.parseInt(entry.values.get('port') ?? '', 10) || POSTGRES_PORT;
    const listener = listeners.find((each) => Number(each.port) === port && hosts.length <= 1) ?? null;
    return { entry, hosts, port, listener };
  });
}

/** Writes `cluster`: etcd as far as it is known, or the fixed list; the servers of the old files are told of in any case. */
export function writeCluster(
  wishes: ClusterWishes,
  used: readonly Proxy[],
  targets: readonly Target[],
  poolerPort: number | null,
  work: Work,
): void {
  const { draft, tell } = work;
  const servers = serversOf(used, targets, poolerPort, work);
  const candidates = servers.length > 0 ? servers : hostsOf(targets);
  if (wishes.nodes && candidates.length > 0) {
    if (wishes.scope !== null) draft.set(['cluster.scope'], wishes.scope, '--scope', { rank: Rank.CommandLine });
    for (const candidate of candidates) draft.add('cluster.nodes', nodeLines(candidate));
    draft.note('cluster.nodes', ['The probes find out which of them is the primary.']);
    return;
  }
  if (wishes.nodes) {
    const advice = 'the files name no server of PostgreSQL: write cluster.nodes by hand, or name the etcd of Patroni';
    tell({ verdict: Verdict.Fill, place: null, subject: '--nodes', advice });
  }
  const fill = (key: string, variable: string, what: string, option: string): void => {
    draft.set([key], { reference: `\${${variable}}` }, `FILL IN: ${what}`, { rank: Rank.CommandLine });
    const advice = `${what}; write it in the new file, set ${variable}, or say ${option}`;
    tell({ verdict: Verdict.Fill, place: null, subject: key, advice });
  };
  if (wishes.scope !== null) draft.set(['cluster.scope'], wishes.scope, '--scope', { rank: Rank.CommandLine });
  else fill('cluster.scope', 'PATRONI_SCOPE', 'the scope in patroni.yml', '--scope NAME');
  if (wishes.etcd.length > 0) draft.set(['cluster.etcd3.hosts'], wishes.etcd, '--etcd', { rank: Rank.CommandLine });
  else fill('cluster.etcd3.hosts', 'ETCD_HOSTS', 'the etcd3 hosts in patroni.yml', '--etcd HOST:PORT,...');
  draft.note('cluster', [
    'Members and leader are read from the etcd of Patroni, at the addresses in its connect_address; also set namespace where patroni.yml does.',
    ...(candidates.length === 0
      ? []
      : ['Patroni should know these servers of the old files (--nodes would write them as a fixed list):']),
    ...candidates.map((each) => `  ${each.name} ${formatAddress(each)} (${formatPlace(each.place)})`),
  ]);
}

function nodeLines({ name, host, port, place, weight }: Candidate): readonly DraftLine[] {
  const from = formatPlace(place);
  return [
    { key: 'name', value: name, from, notes: [] },
    { key: 'host', value: host, from, notes: [] },
    { key: 'port', value: port, from, notes: [] },
    ...(weight === null ? [] : [{ key: 'weight', value: weight, from: `${from} weight`, notes: [] }]),
  ];
}

/** The servers of HAProxy, each once. */
function serversOf(
  used: readonly Proxy[],
  targets: readonly Target[],
  poolerPort: number | null,
  { tell }: Work,
): readonly Candidate[] {
  const found = new Map<string, Candidate>();
  for (const { name, address, options, place } of used.flatMap((proxy) => proxy.servers)) {
    const subject = `server ${name}`;
    const endpoint = readEndpoint(address);
    const host = endpoint.ok ? endpoint.value.host : null;
    if (!endpoint.ok || host === null || !isHost(host) || (endpoint.value.port ?? '').includes('$')) {
      const advice = `its address ${endpoint.ok ? 'is not known here' : endpoint.problem}; it is passed over`;
      tell({ verdict: Verdict.Broken, place, subject, advice });
      continue;
    }
    if (options.has('disabled')) {
      tell({ verdict: Verdict.Differs, place, subject, advice: 'is disabled; it is passed over' });
      continue;
    }
    const written = Number(endpoint.value.port ?? POSTGRES_PORT);
    // PgBouncer on the machines of PostgreSQL, HAProxy before it: the nodes are behind both.
    const isPooler = written === poolerPort && written !== POSTGRES_PORT;
    const port = isPooler ? (targets[0]?.port ?? POSTGRES_PORT) : written;
    if (isPooler) {
      const advice = `port ${written} is that of PgBouncer; PostgreSQL is taken to be at port ${port} of the same host`;
      tell({ verdict: Verdict.Differs, place, subject, advice });
    }
    const key = formatAddress({ host, port });
    if (port < 1 || port > 65_535 || found.has(key)) continue;
    const weight = /^\d{1,3}$/.test(options.get('weight') ?? '') ? Number(options.get('weight')) : null;
    found.set(key, { name: freeName(name, host, found), host, port, place, weight });
  }
  return [...found.values()];
}

function freeName(name: string, host: string, found: ReadonlyMap<string, Candidate>): string {
  const isTaken = [...found.values()].some((each) => each.name === name);
  return name === '' || isTaken ? `${host}-${found.size + 1}` : name;
}

/** The hosts of [databases], where PgBouncer connects to servers itself. */
function hostsOf(targets: readonly Target[]): readonly Candidate[] {
  const found = new Map<string, Candidate>();
  for (const { entry, hosts, port, listener } of targets) {
    if (listener !== null || port < 1 || port > 65_535) continue;
    for (const host of hosts.length === 0 ? ['127.0.0.1'] : hosts) {
      if (!isHost(host) || found.has(formatAddress({ host, port }))) continue;
      found.set(formatAddress({ host, port }), {
        name: freeName(host, host, found),
        host,
        port,
        place: entry.place,
        weight: null,
      });
    }
  }
  return [...found.values()];
}

/** Tells of entries of [databases] whose clients have to connect in another way than before. */
export function tellOfDatabases(
  targets: readonly Target[],
  listeners: readonly PlannedListener[],
  { tell }: Work,
): void {
  const straight = targets.filter(({ listener }) => listener === null);
  const servers = new Set(straight.map(serverOf));
  if (servers.size > 1) {
    const advice = `lead to several servers (${[...servers].join('; ')}): one configuration serves one cluster, so that each needs a proxy of its own`;
    tell({ verdict: Verdict.Differs, place: straight[0]?.entry.place ?? null, subject: '[databases]', advice });
  }
  for (const target of targets) {
    const { entry, hosts, listener } = target;
    const { name, values, place } = entry;
    const subject = `[databases] ${name}`;
    const differs = (advice: string): void => tell({ verdict: Verdict.Differs, place, subject, advice });
    const dbname = values.get('dbname');
    if (dbname !== undefined && dbname !== name) {
      const advice =
        name === '*'
          ? `clients name the database themselves: those who mean ${dbname} have to say so`
          : `databases have no second name: its clients have to ask for ${dbname}`;
      differs(advice);
    }
    if (values.has('user')) {
      differs(
        `clients log in as themselves: its clients have to log in as ${values.get('user') ?? ''}, with the password of that role`,
      );
    }
    if (listener?.role.route === 'standby') {
      const named = listeners.find((each) => each.role.route === 'standby') ?? listener;
      differs(`it led to standbys: its clients have to connect to the listener ${named.name} (port ${named.port})`);
    }
    if (hosts.length > 1)
      differs('PgBouncer took its hosts in turn, whatever their role; here the route of the listener decides');
  }
}

function serverOf({ hosts, port }: Target): string {
  const shown = hosts.map((host) => (isLoopback(host) || host.startsWith('/') ? 'this machine' : host));
  return `${shown.length === 0 ? 'this machine' : [...new Set(shown)].join(', ')} port ${port}`;
}
