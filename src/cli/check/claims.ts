import type { ClusterConfig, Config, Etcd3Config } from '../../config/schema.js';
import { GrpcEtcdEndpoint } from '../../dcs/etcd3-grpc.js';
import type { EtcdReading } from '../../dcs/etcd3-endpoint.js';
import { describeEtcdError } from '../../dcs/etcd3-errors.js';
import { patroniPrefix } from '../../dcs/patroni-keys.js';
import { PatroniStore } from '../../dcs/patroni-store.js';
import type { ClaimsParts } from '../../dcs/patroni-store.js';
import { fail, ok, warn } from './report.js';
import type { Finding } from './report.js';
import { within } from './within.js';

/** A node that is to be looked at. */
export interface NodeTarget {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** Which nodes there are, and what is claimed about them. */
export interface CheckedClaims {
  readonly findings: readonly Finding[];
  readonly targets: readonly NodeTarget[];
  readonly leader: string | null;
  /** The key `initialize`. */
  readonly systemIdentifier: string | null;
  readonly isStandbyCluster: boolean;
}

/** Longest wait for one answer of etcd, whatever the configuration allows. */
const ETCD_TIMEOUT_MAX_MS = 5_000;
/** Scopes that are named as a hint. */
const SCOPES_SHOWN_MAX = 10;

/** Reads who belongs to the cluster: from every etcd member by itself, or from the configuration. */
export async function checkClaims(config: Config): Promise<CheckedClaims> {
  const { source } = config.cluster;
  if (source.kind === 'nodes') {
    const findings = [ok(`cluster: a fixed list of ${source.nodes.length} nodes`)];
    return { findings, targets: source.nodes, leader: null, systemIdentifier: null, isStandbyCluster: false };
  }
  return checkEtcd(config.cluster, source);
}

interface MemberAnswer {
  readonly name: string;
  readonly reading: EtcdReading | null;
  readonly trouble: string | null;
  readonly scopes: readonly string[] | null;
}

async function checkEtcd(cluster: ClusterConfig, source: Etcd3Config): Promise<CheckedClaims> {
  const prefix = patroniPrefix(cluster.namespace, cluster.scope, cluster.group);
  const answers = await Promise.all(source.hosts.map((address) => askMember(address, cluster, source, prefix)));
  const isOneWell = answers.some(({ reading }) => reading !== null);
  const findings = answers.map(({ name, trouble }) => {
    if (trouble === null) return ok(`etcd ${name}: answers`);
    const make = isOneWell ? warn : fail;
    return make(`etcd ${name}: ${trouble}`, ...mendEtcd(trouble, name, prefix, source));
  });
  const clusterIds = new Set(answers.flatMap(({ reading }) => (reading === null ? [] : [reading.header.clusterId])));
  if (clusterIds.size > 1) {
    findings.push(fail('etcd: the hosts belong to different etcd clusters', 'List the members of one cluster only.'));
  }
  const best = answers.find(({ reading }) => (reading?.keys.length ?? 0) > 0);
  if (best?.reading !== null && best?.reading !== undefined) {
    const store = new PatroniStore();
    store.replace(best.reading.keys);
    findings.push(...judgeParts(store.parts, prefix, best.reading.keys.length));
    return claimsOf(findings, store.parts);
  }
  if (isOneWell) {
    const scopes = answers.find((answer) => answer.scopes !== null)?.scopes ?? null;
    findings.push(fail(`etcd: there are no keys below ${prefix}`, ...hintScopes(scopes, cluster)));
  }
  return { findings, targets: [], leader: null, systemIdentifier: null, isStandbyCluster: false };
}

async function askMember(
  { host, port }: { readonly host: string; readonly port: number },
  cluster: ClusterConfig,
  source: Etcd3Config,
  prefix: string,
): Promise<MemberAnswer> {
  const { username, password, keepaliveMs } = source;
  const timeoutMs = Math.min(source.requestTimeoutMs, ETCD_TIMEOUT_MAX_MS);
  const endpoint = new GrpcEtcdEndpoint({ host, port, username, password, keepaliveMs, tls: null });
  const { name } = endpoint;
  try {
    const reading = await within(endpoint.read(prefix, timeoutMs), timeoutMs);
    const scopes = reading.keys.length > 0 ? null : await readScopes(endpoint, cluster.namespace, timeoutMs);
    return { name, reading, trouble: null, scopes };
  } catch (error) {
    return { name, reading: null, trouble: describeEtcdError(error), scopes: null };
  } finally {
    endpoint.close();
  }
}

/** The folders below the namespace; null when they may not be read. */
async function readScopes(endpoint: GrpcEtcdEndpoint, namespace: string, timeoutMs: number): Promise<string[] | null> {
  const folder = `${namespace}/`.replace(/\/+/g, '/');
  try {
    const { keys } = await within(endpoint.read(folder, timeoutMs), timeoutMs);
    const scopes = keys.map(({ suffix }) => suffix.split('/')).filter((parts) => parts.length > 1);
    return [...new Set(scopes.map((parts) => parts[0] ?? ''))].sort();
  } catch {
    return null;
  }
}

function mendEtcd(trouble: string, name: string, prefix: string, { username }: Etcd3Config): string[] {
  if (trouble.startsWith('log-in refused')) {
    return ['Set cluster.etcd3.username and password to a user of etcd:', '  etcdctl user list'];
  }
  if (trouble.includes('asks for a user name')) {
    return ['Set cluster.etcd3.username and cluster.etcd3.password_file.'];
  }
  if (trouble.startsWith('permission denied')) {
    return [
      'Let the user read the keys of the cluster:',
      '  etcdctl role add switchyard',
      `  etcdctl role grant-permission switchyard --prefix=true read ${prefix}`,
      `  etcdctl user grant-role ${username ?? 'USER'} switchyard`,
    ];
  }
  if (trouble.includes('no leader')) return ['etcd has lost its quorum: more than half of its members must run.'];
  return [
    'The address must be the one for clients (usually port 2379), without TLS. Try:',
    `  etcdctl --endpoints=${name} endpoint health`,
  ];
}

function hintScopes(scopes: readonly string[] | null, { namespace, scope }: ClusterConfig): string[] {
  if (scopes === null)
    return [`Compare cluster.namespace and cluster.scope with "namespace" and "scope" in patroni.yml.`];
  if (scopes.length === 0) {
    return [
      `There is nothing below ${namespace} at all. Compare cluster.namespace with "namespace" in patroni.yml;`,
      'and Patroni must use "etcd3:" there, for what it writes under "etcd:" lies in the old API.',
    ];
  }
  if (scopes.includes(scope)) {
    return [
      `There are keys of another kind below ${namespace}/${scope}: with Citus, cluster.group must be set or left out.`,
    ];
  }
  const more = scopes.length > SCOPES_SHOWN_MAX ? ', ...' : '';
  return [
    `Below ${namespace} there are: ${scopes.slice(0, SCOPES_SHOWN_MAX).join(', ')}${more}. Set cluster.scope to one of them.`,
  ];
}

function judgeParts(parts: ClaimsParts, prefix: string, keyCount: number): Finding[] {
  const { leader, members, systemIdentifier, settings, problems } = parts;
  const findings: Finding[] = [ok(`etcd: ${keyCount} keys below ${prefix}`)];
  for (const problem of problems) findings.push(warn(`etcd: ${problem}`));
  if (members.size === 0) {
    const hasGroups = keyCount > 0 && systemIdentifier === null && leader === null;
    const mend = hasGroups ? ['With Citus, set cluster.group (0 is the coordinator).'] : ['Is Patroni running?'];
    findings.push(fail('etcd: no member has said where its PostgreSQL is', ...mend));
  } else {
    const names = [...members.values()].map(({ name, role }) => (role === null ? name : `${name} (${role})`));
    findings.push(ok(`etcd: ${members.size} member${members.size === 1 ? '' : 's'}: ${names.join(', ')}`));
  }
  if (leader !== null) findings.push(ok(`etcd: the leader is ${leader.name}`));
  else if (settings.paused) findings.push(warn('etcd: there is no leader key, in maintenance mode'));
  else findings.push(fail('etcd: there is no leader key: the cluster has no primary now', '  patronictl list'));
  if (leader !== null && !members.has(leader.name)) {
    findings.push(fail(`etcd: the leader ${leader.name} is no member`, '  patronictl list'));
  }
  if (systemIdentifier === null) findings.push(warn('etcd: the key "initialize" has no system identifier'));
  if (settings.paused) findings.push(warn('etcd: the cluster is in maintenance mode: Patroni does not fail over'));
  if (settings.standbyCluster) {
    findings.push(warn('etcd: this is a standby cluster: it has no primary, and primary listeners serve nobody'));
  }
  return findings;
}

function claimsOf(findings: readonly Finding[], parts: ClaimsParts): CheckedClaims {
  return {
    findings,
    targets: [...parts.members.values()].map(({ name, host, port }) => ({ name, host, port })),
    leader: parts.leader?.name ?? null,
    systemIdentifier: parts.systemIdentifier,
    isStandbyCluster: parts.settings.standbyCluster,
  };
}
