import type { ClusterConfig } from '../config/schema.js';
import type { Logger } from '../log.js';
import { assertNever } from '../util/assert-never.js';
import type { Clock } from '../util/clock.js';
import type { ClaimsProvider } from './claims.js';
import { Etcd3Claims } from './etcd3.js';
import { FixedNodesClaims } from './fixed-nodes.js';
import { logGrpcTo } from './grpc-log.js';
import { patroniPrefix } from './patroni-keys.js';

/** The source of claims that the configuration asks for; it does nothing before its `start`. */
export function openProvider(cluster: ClusterConfig, clock: Clock, logger: Logger): ClaimsProvider {
  const { source } = cluster;
  switch (source.kind) {
    case 'etcd3': {
      logGrpcTo(logger);
      const prefix = patroniPrefix(cluster.namespace, cluster.scope, cluster.group);
      const { hosts, username, password, requestTimeoutMs, staleAfterMs, watchdogIntervalMs, keepaliveMs } = source;
      return new Etcd3Claims({
        hosts,
        prefix,
        username,
        password,
        requestTimeoutMs,
        staleAfterMs,
        watchdogIntervalMs,
        keepaliveMs,
        clock,
        logger,
      });
    }
    case 'nodes':
      return new FixedNodesClaims(source.nodes, clock);
    default:
      return assertNever(source);
  }
}
