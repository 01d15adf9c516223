import type { ListenerConfig } from './schema.js';

/**
 * A listener as it is, with what can change while it is open taken from its new configuration. One that has gone, or is to have another
 * route, stays as it was until a restart.
 */
export function withLiveKeys(old: ListenerConfig, after: readonly ListenerConfig[]): ListenerConfig {
  const now = after.find((each) => each.name === old.name);
  if (now?.route !== old.route) return old;
  const { fallback, prefer, tags, consistency, poolMode } = now;
  return { ...old, fallback, prefer, tags, consistency, poolMode };
}
