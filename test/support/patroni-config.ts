import type { Settings } from '../../src/cli/demo/postgres/data-directory.js';
import { roles } from './roles.js';

/** Patroni's rules: ttl at least 20, and loop_wait + 2 * retry_timeout at most ttl; retry_timeout at least 3. */
export interface PatroniTiming {
  readonly ttlS: number;
  readonly loopWaitS: number;
}

export interface PatroniConfigOptions {
  readonly scope: string;
  readonly name: string;
  readonly etcd: readonly string[];
  readonly port: number;
  readonly restPort: number;
  readonly binDirectory: string;
  readonly dataDirectory: string;
  /** A folder that PostgreSQL's user owns, for sockets and the password file. */
  readonly runDirectory: string;
  readonly timing: PatroniTiming;
  readonly synchronous: boolean;
  /** `postgresql.parameters` of the cluster's dynamic configuration. */
  readonly settings: Settings;
  readonly tags: Readonly<Record<string, string | number | boolean>>;
  /** Command of `postgresql.before_stop`; null: none. */
  readonly beforeStop: string | null;
  /** Certificate and key of the server; null: no TLS. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
}

/** Patroni's configuration of one node, to be written as YAML ("YAML Configuration Settings" of Patroni's documentation). */
export function patroniConfig(options: PatroniConfigOptions): object {
  const { timing } = options;
  const address = (port: number): string => `127.0.0.1:${port}`;
  return {
    scope: options.scope,
    name: options.name,
    restapi: { listen: address(options.restPort), connect_address: address(options.restPort) },
    etcd3: { hosts: options.etcd.join(',') },
    bootstrap: {
      dcs: {
        ttl: timing.ttlS,
        loop_wait: timing.loopWaitS,
        retry_timeout: Math.min(10, Math.floor((timing.ttlS - timing.loopWaitS) / 2)),
        maximum_lag_on_failover: 16 * 1024 * 1024,
        synchronous_mode: options.synchronous,
        postgresql: {
          use_pg_rewind: true,
          use_slots: true,
          parameters: {
            wal_level: 'replica',
            hot_standby: 'on',
            max_wal_senders: 10,
            max_replication_slots: 10,
            wal_keep_size: '256MB',
            max_connections: 300,
            wal_log_hints: 'on',
            max_prepared_transactions: 20,
            hot_standby_feedback: 'on',
            ...options.settings,
          },
        },
      },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C.UTF-8' }, 'data-checksums', 'no-sync'],
    },
    postgresql: {
      listen: address(options.port),
      connect_address: address(options.port),
      data_dir: options.dataDirectory,
      bin_dir: options.binDirectory,
      pgpass: `${options.runDirectory}/pgpass`,
      pg_hba: [
        'local all all trust',
        'host replication replicator 127.0.0.1/32 scram-sha-256',
        'host all all 127.0.0.1/32 scram-sha-256',
      ],
      authentication: {
        superuser: { username: roles.superuser.user, password: roles.superuser.password },
        replication: { username: 'replicator', password: 'replpass' },
        rewind: { username: 'rewinder', password: 'rewindpass' },
      },
      // Patroni leaves the checkpoint of a copy to PostgreSQL's leisure otherwise, which takes minutes.
      basebackup: [{ checkpoint: 'fast' }, 'no-sync'],
      parameters: {
        unix_socket_directories: options.runDirectory,
        password_encryption: 'scram-sha-256',
        shared_buffers: '32MB',
        fsync: 'off',
        lc_messages: 'C',
        log_line_prefix: `%m ${options.name} [%p] %q%u@%d `,
        ...(options.tls === null
          ? {}
          : { ssl: 'on', ssl_cert_file: options.tls.certFile, ssl_key_file: options.tls.keyFile }),
      },
      ...(options.beforeStop === null ? {} : { before_stop: options.beforeStop }),
    },
    ...(Object.keys(options.tags).length === 0 ? {} : { tags: options.tags }),
  };
}
