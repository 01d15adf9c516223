import { NoCredentials, PasswordCredentials } from '../auth/credentials.js';
import type { Config } from '../config/schema.js';
import { StreamEngine } from '../net/stream/stream-engine.js';
import { nodeName } from '../util/brand.js';
import type { Clock } from '../util/clock.js';
import { MonitorConnection } from './monitor-connection.js';

/** Where a monitor connection goes. */
export interface MonitorTarget {
  readonly host: string;
  readonly port: number;
  readonly database: string;
}

/**
 * Logs in as the monitor role. Fails with a `NodeError` (the node refused) or a `SwitchyardError` (`backend_connect_failed`,
 * `backend_login_failed`); `timeoutMs` is for the dial and the log-in together.
 */
export function openMonitor(
  config: Config,
  { host, port, database }: MonitorTarget,
  timeoutMs: number,
  clock: Clock,
): Promise<MonitorConnection> {
  const { cluster, limits } = config;
  const { user, password } = cluster.monitor;
  return MonitorConnection.open(
    {
      node: nodeName(`${host}:${port}`),
      host,
      port,
      user,
      database,
      parameters: [
        ['application_name', 'switchyard'],
        ['client_encoding', 'UTF8'],
        ['DateStyle', 'ISO'],
        // A standby refuses every statement of a role whose default is serializable.
        ['default_transaction_isolation', 'read committed'],
      ],
      credentials: password === null ? new NoCredentials() : new PasswordCredentials(password),
    },
    {
      // They are few, and what they are for must not depend on how clients are served.
      engine: new StreamEngine(),
      connectTimeoutMs: timeoutMs,
      keepAliveMs: () => limits.tcpKeepaliveMs,
      bufferBytes: limits.clientBufferBytes,
      messageBytesMax: limits.messageBytes,
    },
    clock,
  );
}
