import { z } from 'zod';
import { addressesCollide, isHost } from './address.js';
import {
  type SecretReader,
  count,
  customField,
  dialAddresses,
  duration,
  onePassword,
  secret,
  secretFile,
  tags,
  text,
} from './fields.js';
import { wrong } from './reading.js';

const ETCD_PORT = 2379;
const POSTGRES_PORT = 5432;
const NODES_MAX = 100;
const WEIGHT_MAX = 1000;

/** A host name or an IP address without a port. */
function host() {
  return customField(
    (input) =>
      typeof input === 'string' && isHost(input)
        ? { ok: true, value: input }
        : wrong('must be a host name or an IP address'),
    { type: 'string', minLength: 1, 'x-type': 'host' },
  );
}

function etcd3Schema(read: SecretReader) {
  return z
    .strictObject({
      hosts: dialAddresses(ETCD_PORT)
        .optional()
        .meta({ description: `The etcd members, "host:port" each (port ${ETCD_PORT} when left out).` }),
      host: dialAddresses(ETCD_PORT).optional().meta({ description: 'Another word for hosts, as in Patroni.' }),
      username: text().optional().meta({ description: 'User of etcd, when it asks for one.' }),
      password: secret().optional().meta({ description: 'Password of that user.' }),
      password_file: secretFile(read).optional().meta({ description: 'File that holds the password of that user.' }),
      request_timeout: duration({ min: '50ms', max: '1m' })
        .prefault('2s')
        .meta({ description: 'Longest wait for one answer of etcd.' }),
      stale_after: duration({ min: '1s', max: '1h' })
        .prefault('15s')
        .meta({ description: 'Without a successful read for so long, what etcd said counts as stale.' }),
      watchdog_interval: duration({ min: '100ms', max: '1m' })
        .prefault('2s')
        .meta({ description: 'How often the keys are read besides the watch, which may have died in silence.' }),
      keepalive: duration({ min: '100ms', max: '1m' }).prefault('2s').meta({
        description:
          'How long etcd may take to answer a keep-alive; it is asked every 6 s at most, since it takes more for abuse.',
      }),
    })
    .transform((etcd, context) => {
      if (etcd.hosts !== undefined && etcd.host !== undefined) {
        context.addIssue({ code: 'custom', path: ['host'], message: 'hosts is given too: keep one of them' });
      }
      const hosts = etcd.hosts ?? etcd.host;
      if (hosts === undefined) {
        context.addIssue({ code: 'custom', path: ['hosts'], message: 'is required' });
        return z.NEVER;
      }
      const password = onePassword(etcd, context);
      if (password !== null && etcd.username === undefined) {
        context.addIssue({ code: 'custom', path: ['username'], message: 'is required when there is a password' });
      }
      if (etcd.stale_after <= etcd.watchdog_interval + etcd.request_timeout) {
        const message =
          'must be longer than watchdog_interval and request_timeout together, or every slow read is stale';
        context.addIssue({ code: 'custom', path: ['stale_after'], message });
      }
      return {
        hosts,
        username: etcd.username ?? null,
        password,
        requestTimeoutMs: etcd.request_timeout,
        staleAfterMs: etcd.stale_after,
        watchdogIntervalMs: etcd.watchdog_interval,
        keepaliveMs: etcd.keepalive,
      };
    });
}

const nodeSchema = z.strictObject({
  name: text().meta({ description: 'What the node is called in logs, metrics and the console.' }),
  host: host().meta({ description: 'Host name or IP address of PostgreSQL.' }),
  port: count(1, 65_535).prefault(POSTGRES_PORT).meta({ description: 'Port of PostgreSQL.' }),
  weight: count(0, WEIGHT_MAX)
    .prefault(1)
    .meta({ description: 'Share of standby sessions relative to other nodes; 0 takes none.' }),
  tags: tags().prefault({}).meta({
    description: 'Tags of the node, for listeners that ask for them; noloadbalance: true keeps sessions off.',
  }),
});

const nodesSchema = z
  .array(nodeSchema)
  .min(1)
  .max(NODES_MAX)
  .superRefine((nodes, context) => {
    for (const [index, node] of nodes.entries()) {
      const earlier = nodes.slice(0, index);
      const sameName = earlier.findIndex((other) => other.name === node.name);
      if (sameName !== -1) {
        const message = `"${node.name}" is already the name of nodes[${sameName}]`;
        context.addIssue({ code: 'custom', path: [index, 'name'], message });
      }
      const samePlace = earlier.findIndex((other) => addressesCollide(other, node));
      if (samePlace !== -1) {
        const message = `${node.host} port ${node.port} is already nodes[${samePlace}]`;
        context.addIssue({ code: 'custom', path: [index, 'host'], message });
      }
    }
  });

function monitorSchema(read: SecretReader) {
  return z
    .strictObject({
      user: text().prefault('switchyard').meta({ description: 'Role that the probes log in as.' }),
      password: secret().optional().meta({ description: 'Password of that role.' }),
      password_file: secretFile(read).optional().meta({ description: 'File that holds the password of that role.' }),
      database: text().prefault('postgres').meta({ description: 'Database that the probes connect to.' }),
      interval: duration({ min: '10ms', max: '1m' })
        .prefault('250ms')
        .meta({ description: 'How often the WAL position of every node is sampled.' }),
      promotion_interval: duration({ min: '5ms', max: '1m' })
        .prefault('25ms')
        .meta({ description: 'The same while a promotion is under way.' }),
      timeout: duration({ min: '10ms', max: '5m' })
        .prefault('2s')
        .meta({ description: 'Longest wait for one answer of a node, and for a connection to it.' }),
      connect_interval: duration({ min: '100ms', max: '1h' })
        .prefault('5s')
        .meta({ description: 'How often a new connection is tried, which finds a server that accepts no more.' }),
    })
    .transform((monitor, context) => {
      if (monitor.promotion_interval > monitor.interval) {
        const message = 'must not be longer than interval: a promotion is watched more closely, not less';
        context.addIssue({ code: 'custom', path: ['promotion_interval'], message });
      }
      return {
        user: monitor.user,
        password: onePassword(monitor, context),
        database: monitor.database,
        intervalMs: monitor.interval,
        promotionIntervalMs: monitor.promotion_interval,
        timeoutMs: monitor.timeout,
        connectIntervalMs: monitor.connect_interval,
      };
    });
}

/** `cluster`: where the nodes are known from, and how they are probed. */
export function clusterSchema(read: SecretReader) {
  return z
    .strictObject({
      scope: text().optional().meta({
        description: "Patroni's scope, the name of the cluster. Required with etcd3, a mere name with nodes.",
      }),
      namespace: text().prefault('/service').meta({ description: "Patroni's namespace: the folder of its keys." }),
      group: count(0, 2_147_483_647).optional().meta({
        description: 'Citus group of this cluster (0 is the coordinator); left out for clusters without Citus.',
      }),
      etcd3: etcd3Schema(read)
        .optional()
        .meta({ description: 'The etcd that Patroni uses (API version 3). Either this or nodes.' }),
      nodes: nodesSchema
        .optional()
        .meta({ description: 'A fixed list of nodes, for clusters without Patroni; the probes find the primary.' }),
      monitor: monitorSchema(read).prefault({}).meta({ description: 'How the nodes are probed.' }),
    })
    .transform((cluster, context) => {
      const { etcd3, nodes } = cluster;
      if (etcd3 !== undefined && nodes !== undefined) {
        context.addIssue({ code: 'custom', path: ['nodes'], message: 'etcd3 is given too: keep one of them' });
      }
      if (etcd3 !== undefined && cluster.scope === undefined) {
        context.addIssue({ code: 'custom', path: ['scope'], message: 'is required with etcd3' });
      }
      if (cluster.scope?.includes('/') === true) {
        context.addIssue({ code: 'custom', path: ['scope'], message: 'must not hold a slash' });
      }
      const source = sourceOf(etcd3, nodes);
      if (source === null) {
        context.addIssue({ code: 'custom', message: 'needs etcd3 or nodes' });
        return z.NEVER;
      }
      return {
        /** Patroni's scope; `default` when a fixed list of nodes has no name. */
        scope: cluster.scope ?? 'default',
        /** Begins with a slash and does not end with one, as Patroni writes it: `/service`. */
        namespace: `/${cluster.namespace.replace(/^\/+|\/+$/g, '')}`,
        /** Citus group; null without Citus. */
        group: cluster.group ?? null,
        source,
        monitor: cluster.monitor,
      };
    });
}

/** The one source that is given, told apart by `kind`; null when there is none. */
function sourceOf<Etcd, Node>(etcd3: Etcd | undefined, nodes: readonly Node[] | undefined) {
  if (etcd3 !== undefined) {
    return { kind: 'etcd3' as const, ...etcd3 };
  }
  return nodes === undefined ? null : { kind: 'nodes' as const, nodes };
}
