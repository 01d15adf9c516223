import { AuthRules } from '../auth/rules.js';
import type { Config, ListenerConfig, PoolConfig, RoutingConfig } from '../config/schema.js';
import type { SessionIntent, SessionLimits } from './context.js';
import type { DoorRules } from './doorkeeper.js';

/** The limits that sessions keep to, as the configuration has them. */
export function sessionLimits({ limits, promotion, pool, routing }: Config): SessionLimits {
  return {
    inspectBytes: limits.inspectBytes,
    messageBytes: limits.messageBytes,
    preparedStatements: limits.preparedStatements,
    holdTimeoutMs: promotion.holdTimeoutMs,
    connectTimeoutMs: pool.connectTimeoutMs,
    rebalance: routing.rebalance,
    replayBytes: promotion.replay ? promotion.replayBytes : 0,
    standbyIdleMs: routing.standbyIdleMs,
    times: {
      clientIdleMs: limits.clientIdleTimeoutMs,
      idleTransactionMs: limits.idleTransactionTimeoutMs,
      transactionMs: limits.transactionTimeoutMs,
      queryMs: limits.queryTimeoutMs,
      queryCancelMs: limits.queryCancelTimeoutMs,
      tcpUserMs: limits.tcpUserTimeoutMs,
    },
  };
}

/** What log-ins go by, as the configuration has it. */
export function doorRules({ auth, limits }: Config): DoorRules {
  return {
    rules: new AuthRules(auth.rules, auth.method),
    startupTimeoutMs: limits.startupTimeoutMs,
    maxClients: limits.maxClients,
  };
}

/** What sessions that come in through a listener ask of the router. */
export function intentOf(listener: ListenerConfig, routing: RoutingConfig, pool: PoolConfig): SessionIntent {
  return {
    route: listener.route,
    fallback: listener.fallback,
    prefer: listener.prefer,
    tags: listener.tags,
    consistency: listener.consistency ?? routing.consistency,
    zone: routing.zone,
    slowStartMs: routing.slowStartMs,
    // Sessions of other routes live where they are: whatever it is that makes them ask, they are not placed anew with each unit.
    stickiness: listener.route === 'split' ? routing.stickiness : 'session',
    poolMode: listener.poolMode ?? pool.mode,
  };
}
