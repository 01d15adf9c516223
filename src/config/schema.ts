import { z } from 'zod';
import { LOG_LEVELS } from '../log.js';
import { addressesCollide, formatAddress } from './address.js';
import { authSchema } from './auth-schema.js';
import { clusterSchema } from './cluster-schema.js';
import { type SecretReader, count, duration, flag, listenAddress, names, secret, secretFile, size } from './fields.js';
import { limitsSchema } from './limits-schema.js';
import { listenersSchema } from './listener-schema.js';
import { poolSchema } from './pool-schema.js';
import type { Reading } from './reading.js';
import { routingSchema } from './routing-schema.js';

/** What the schema asks of the file system. */
export interface ConfigFiles {
  /** Reads the secret behind a `*_file` key. */
  readonly readSecret: SecretReader;
  /** Turns the path of a file that is read later into an absolute one, or says why it cannot be read. */
  readonly checkFile: (path: string) => Reading<string>;
}

const promotionSchema = z
  .strictObject({
    hold_timeout: duration().prefault('60s').meta({
      description: 'Longest wait of a unit for a proven primary; 57P03 after it, and the session stays open.',
    }),
    drain_timeout: duration()
      .prefault('30s')
      .meta({ description: 'Longest wait for a session to reach a boundary when its node is drained.' }),
    announce_timeout: duration({ min: '100ms' })
      .prefault('30s')
      .meta({ description: 'An announced switchover that has not begun after so long is taken for called off.' }),
    max_held: count(0, 1_000_000)
      .prefault(10_000)
      .meta({ description: 'Most sessions held at one time; 53300 above it.' }),
    release_wave: count(1, 100_000)
      .prefault(32)
      .meta({ description: 'Held sessions released to the new primary at one time, oldest first.' }),
    clear_candidate: flag().prefault(true).meta({
      description:
        'Whether reads that hold up the promotion of a standby are cancelled there and, where nothing was forwarded, run again elsewhere.',
    }),
    replay: flag().prefault(true).meta({
      description: 'Whether a statement that a stopped node provably did not carry out is sent again to the next one.',
    }),
    replay_buffer: size({ min: '1kB', max: '16MB' }).prefault('64kB').meta({
      description: 'Most bytes of a session that are kept to be sent again; a longer statement gets an error instead.',
    }),
  })
  .transform((promotion) => ({
    holdTimeoutMs: promotion.hold_timeout,
    drainTimeoutMs: promotion.drain_timeout,
    announceTimeoutMs: promotion.announce_timeout,
    maxHeld: promotion.max_held,
    releaseWave: promotion.release_wave,
    clearCandidate: promotion.clear_candidate,
    replay: promotion.replay,
    replayBytes: promotion.replay_buffer,
  }));

function adminSchema(read: SecretReader) {
  return z
    .strictObject({
      enabled: flag().prefault(true).meta({ description: 'Whether there is an HTTP server for metrics and health.' }),
      address: listenAddress().prefault('127.0.0.1:9432').meta({
        description: 'Where it listens. What it shows needs no log-in: keep it on the loopback or behind a firewall.',
      }),
      token: secret().optional().meta({
        description:
          'What whoever asks it to do something (drain, pause, forget-past) has to know; needed for that when it does not listen on the loopback.',
      }),
      token_file: secretFile(read).optional().meta({ description: 'File that holds the token.' }),
      users: names().meta({
        description:
          'Users who may log in to the console (database switchyard, on any listener) and run every command there.',
      }),
      stats_users: names().meta({
        description: 'Users who may log in to the console and run SHOW, HELP and EXPLAIN there.',
      }),
    })
    .transform((admin, context) => {
      if (admin.token !== undefined && admin.token_file !== undefined) {
        context.addIssue({ code: 'custom', path: ['token_file'], message: 'token is given too: keep one of them' });
      }
      return {
        enabled: admin.enabled,
        address: admin.address,
        token: admin.token ?? admin.token_file ?? null,
        users: admin.users,
        statsUsers: admin.stats_users,
      };
    });
}

const logSchema = z.strictObject({
  level: z.enum(LOG_LEVELS).prefault('info').meta({ description: 'Least weight of a line that is written.' }),
});

/** What may move the bytes. */
const ENGINE_CHOICES = ['auto', 'stream', 'native'] as const;

const shutdownSchema = z
  .strictObject({
    timeout: duration()
      .prefault('30s')
      .meta({ description: 'Longest wait for sessions to reach a boundary before the program ends.' }),
  })
  .transform((shutdown) => ({ timeoutMs: shutdown.timeout }));

/** The whole file: snake_case with units in the values on the way in, {@link Config} on the way out. */
export function configSchema(files: ConfigFiles) {
  return z
    .strictObject({
      cluster: clusterSchema(files.readSecret).meta({
        description: 'The PostgreSQL cluster that is served.',
        oneOf: [{ required: ['etcd3'] }, { required: ['nodes'] }],
      }),
      listeners: listenersSchema.meta({ description: 'Where clients come in; at least one.' }),
      routing: routingSchema
        .prefault({})
        .meta({ description: 'When a standby is fresh enough, and which reads go to which one.' }),
      pool: poolSchema.prefault({}).meta({ description: 'Connections of ours to PostgreSQL.' }),
      promotion: promotionSchema.prefault({}).meta({ description: 'How a change of the primary is bridged.' }),
      auth: authSchema(files.readSecret, files.checkFile).prefault({}).meta({ description: 'How clients log in.' }),
      admin: adminSchema(files.readSecret)
        .prefault({})
        .meta({ description: 'The HTTP server for metrics and health, and who may use the console.' }),
      engine: z.enum(ENGINE_CHOICES).prefault('auto').meta({
        description:
          'What moves the bytes: `native` is the addon that the installation builds where it can (Linux with a C++ compiler), `stream` is Node alone, `auto` takes the addon where there is one.',
      }),
      log: logSchema.prefault({}).meta({ description: 'JSON lines on standard output.' }),
      limits: limitsSchema.prefault({}).meta({ description: 'Bounds of what clients may cost.' }),
      shutdown: shutdownSchema.prefault({}).meta({ description: 'How the program ends.' }),
    })
    .transform((config, context) => {
      const clash = config.listeners.findIndex((listener) => addressesCollide(listener.address, config.admin.address));
      if (config.admin.enabled && clash !== -1) {
        const message = `${formatAddress(config.admin.address)} is already taken by listeners[${clash}]`;
        context.addIssue({ code: 'custom', path: ['admin', 'address'], message });
      }
      const queryDatabase = config.auth.queryDatabase ?? config.cluster.monitor.database;
      return { ...config, auth: { ...config.auth, queryDatabase } };
    });
}

/** `T` with everything in it readonly. */
type Frozen<T> = T extends ReadonlyMap<string, string> | string | number | boolean | null
  ? T
  : { readonly [K in keyof T]: Frozen<T[K]> };

/**
 * The configuration as the program sees it: every key present, durations in whole milliseconds (`...Ms`), sizes in bytes
 * (`...Bytes`), secrets read, deeply frozen.
 */
export type Config = Frozen<z.output<ReturnType<typeof configSchema>>>;

export type ClusterConfig = Config['cluster'];
export type Etcd3Config = Extract<ClusterConfig['source'], { readonly kind: 'etcd3' }>;
export type NodeConfig = Extract<ClusterConfig['source'], { readonly kind: 'nodes' }>['nodes'][number];
export type MonitorConfig = ClusterConfig['monitor'];
export type ListenerConfig = Config['listeners'][number];
export type RoutingConfig = Config['routing'];
export type PoolConfig = Config['pool'];
export type AuthConfig = Config['auth'];
export type AuthRuleConfig = AuthConfig['rules'][number];
