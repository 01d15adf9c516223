import type { MonitorConnection } from '../../backend/monitor-connection.js';
import { NodeError } from '../../backend/node-error.js';
import { openMonitor } from '../../backend/open-monitor.js';
import { formatAddress } from '../../config/address.js';
import type { Config } from '../../config/schema.js';
import { SwitchyardError } from '../../errors.js';
import { dialStream } from '../../net/stream/dial-stream.js';
import { NodeProbe } from '../../replication/probe.js';
import type { ProbeSample } from '../../replication/probe.js';
import type { Clock } from '../../util/clock.js';
import { mendLogin, sayError } from './advice.js';
import type { NodeTarget } from './claims.js';
import { fail, ok, warn } from './report.js';
import type { Finding } from './report.js';

/** A node that answered. */
export interface CheckedNode {
  readonly target: NodeTarget;
  readonly sample: ProbeSample;
}

export interface NodeCheck {
  readonly findings: readonly Finding[];
  /** Null: it could not be asked. */
  readonly node: CheckedNode | null;
}

/** Longest wait for one answer of a node, whatever the configuration allows. */
const NODE_TIMEOUT_MAX_MS = 5_000;
/** The probes use functions that PostgreSQL 10 gave their present names. */
const SERVER_VERSION_MIN = 100_000;
const VERSIONS_PER_MAJOR = 10_000;
/** Probes, connect probes and questions about users, at the same time. */
const MONITOR_CONNECTIONS = 4;
const SLOTS_SQL = `SELECT pg_catalog.current_setting('max_connections'),
 pg_catalog.current_setting('superuser_reserved_connections'), pg_catalog.current_setting('reserved_connections', true)`;

/** The time limit of one step of a check. */
export function nodeTimeoutMs(config: Config): number {
  return Math.min(config.cluster.monitor.timeoutMs, NODE_TIMEOUT_MAX_MS);
}

/** Goes the way of a probe to one node, step by step, and stops at the first that fails. */
export async function checkNode(target: NodeTarget, config: Config, clock: Clock): Promise<NodeCheck> {
  const where = `${target.name} (${formatAddress(target)})`;
  const timeoutMs = nodeTimeoutMs(config);
  const findings: Finding[] = [];
  try {
    await touch(target, config, timeoutMs);
    findings.push(ok(`node ${where}: can be reached`));
  } catch (error) {
    return gaveUp(
      findings,
      fail(`node ${where}: ${sayError(error)}`, 'Is PostgreSQL running, and is the way to it open?'),
    );
  }
  const { user, database } = config.cluster.monitor;
  let connection: MonitorConnection;
  try {
    connection = await openMonitor(config, { ...target, database }, timeoutMs, clock);
    findings.push(ok(`node ${target.name}: the monitor role "${user}" logs in`));
  } catch (error) {
    return gaveUp(findings, loginFailure(target, error, config));
  }
  try {
    return await ask(target, connection, config, clock, findings);
  } finally {
    connection.close();
  }
}

async function touch(target: NodeTarget, config: Config, timeoutMs: number): Promise<void> {
  const { tcpKeepaliveMs, clientBufferBytes } = config.limits;
  const { host, port } = target;
  const wire = await dialStream({ host, port, timeoutMs, keepAliveMs: tcpKeepaliveMs, bufferBytes: clientBufferBytes });
  wire.destroy();
}

function loginFailure(target: NodeTarget, error: unknown, config: Config): Finding {
  const { monitor } = config.cluster;
  if (error instanceof SwitchyardError && error.code === 'backend_connect_failed') {
    const why = error.cause instanceof Error ? error.cause.message : error.message;
    const what = `node ${target.name}: takes the connection and does not let the monitor role in: ${why}`;
    return fail(what, 'It is frozen, or something else than PostgreSQL listens there.');
  }
  const what = `node ${target.name}: the monitor role "${monitor.user}" cannot log in: ${sayError(error)}`;
  return fail(what, ...mendLogin(error, monitor));
}

async function ask(
  target: NodeTarget,
  connection: MonitorConnection,
  config: Config,
  clock: Clock,
  findings: Finding[],
): Promise<NodeCheck> {
  const version = connection.parameters.get('server_version') ?? '';
  const major = Number.parseInt(version, 10);
  if (major * VERSIONS_PER_MAJOR < SERVER_VERSION_MIN) {
    return gaveUp(findings, fail(`node ${target.name}: PostgreSQL ${version} is too old: 10 is the oldest that works`));
  }
  const timeoutMs = nodeTimeoutMs(config);
  const probe = new NodeProbe(target, { clock, timeoutMs, connect: () => Promise.resolve(connection) });
  const sample = await probe.sample(() => {});
  if (!sample.ok) return gaveUp(findings, fail(`node ${target.name}: a probe fails: ${sample.message}`));
  const role = sample.inRecovery ? standbyWords(sample) : 'primary';
  findings.push(
    ok(`node ${target.name}: PostgreSQL ${version}, ${role}, timeline ${sample.timeline ?? 'unknown'}`),
    judgeGrants(target, sample, config),
    await judgeSlots(target, connection, config, timeoutMs),
  );
  if (sample.inRecovery && sample.streaming === false) {
    findings.push(notStreaming(target, config));
  }
  return { findings, node: { target, sample } };
}

function standbyWords({ streaming, replayPaused }: ProbeSample): string {
  const words = streaming === true ? 'standby, streaming' : 'standby';
  return replayPaused ? `${words}, replay paused` : words;
}

/** What the monitor role cannot see. A role that lacks a right lacks it on every node, the primary too. */
function judgeGrants(target: NodeTarget, { identity, gap }: ProbeSample, config: Config): Finding {
  const { role } = identity;
  if (identity.systemIdentifier === null) {
    const what = `node ${target.name}: ${role} may not see the system identifier, so nothing proves where it belongs`;
    return fail(what, 'On the primary:', `  GRANT EXECUTE ON FUNCTION pg_control_system() TO ${role};`);
  }
  if (gap !== null || !identity.seesReceiver) {
    const isNeeded = config.routing.requireStreaming && config.listeners.some(({ route }) => route !== 'primary');
    const make = isNeeded ? fail : warn;
    const effect = isNeeded ? 'so no standby gets work' : 'so whether standbys stream is not known';
    const what = `node ${target.name}: ${role} has not the role pg_monitor, ${effect}`;
    return make(what, 'On the primary:', `  GRANT pg_monitor TO ${role};`);
  }
  return ok(`node ${target.name}: ${role} may see all that the probes ask for`);
}

async function judgeSlots(
  target: NodeTarget,
  connection: MonitorConnection,
  config: Config,
  timeoutMs: number,
): Promise<Finding> {
  let row: readonly (string | null)[] | undefined;
  try {
    [row] = await connection.query(SLOTS_SQL, null, timeoutMs);
  } catch (error) {
    return warn(`node ${target.name}: its settings cannot be read: ${sayError(error)}`);
  }
  const [most, forSuperusers, reserved] = [0, 1, 2].map((index) => Number(row?.[index] ?? 0));
  const free = (most ?? 0) - (forSuperusers ?? 0) - (reserved ?? 0) - MONITOR_CONNECTIONS;
  const { maxBackendsPerNode, reserveSize } = config.pool;
  const size = config.pool.size + reserveSize;
  const sizeKey = reserveSize === 0 ? 'size' : 'size and pool.reserve_size';
  if (maxBackendsPerNode > 0 && maxBackendsPerNode <= free) {
    return ok(
      `node ${target.name}: pool.max_backends_per_node ${maxBackendsPerNode} fits into max_connections ${most}`,
    );
  }
  if (maxBackendsPerNode === 0 && size <= free) {
    return ok(`node ${target.name}: pool.${sizeKey} ${size} (per user and database) fits into max_connections ${most}`);
  }
  const which = maxBackendsPerNode > 0 ? `max_backends_per_node ${maxBackendsPerNode}` : `${sizeKey} ${size}`;
  return warn(
    `node ${target.name}: pool.${which} is more than its max_connections ${most} leaves for clients (${free})`,
    'Clients beyond it get 53300 from the node instead of waiting for their turn. Raise max_connections, or in the configuration:',
    '  pool:',
    `    max_backends_per_node: ${Math.max(1, free)}`,
  );
}

function notStreaming(target: NodeTarget, config: Config): Finding {
  const effect = config.routing.requireStreaming
    ? 'and gets no work (routing.require_streaming)'
    : 'and may fall behind';
  return warn(`node ${target.name}: receives no stream of WAL ${effect}`, '  patronictl list');
}

function gaveUp(findings: readonly Finding[], last: Finding): NodeCheck {
  return { findings: [...findings, last], node: null };
}

/** True when the node refused the question for lack of a right, or because something that it names does not exist. */
export function isRefusedQuestion(error: unknown): boolean {
  return error instanceof NodeError && ['42501', '42883', '42P01', '3F000'].includes(error.sqlState);
}
