import { isDeepStrictEqual } from 'node:util';
import { formatAddress } from './address.js';
import { CONFIG_KEYS, type ConfigKey, LISTENER_KEYS } from './config-keys.js';
import type { Config, ListenerConfig } from './schema.js';

/** One key whose value is another one. Holds no secret. */
export interface ConfigChange {
  /** `pool.size`, `listeners[standby].fallback`; a listener that came or went is `listeners[standby]`. */
  readonly key: string;
  /** As people write it; `none` where there is no value. */
  readonly before: string;
  readonly after: string;
}

/** What differs between two configurations. */
export interface ConfigDiff {
  /** Takes effect while the program runs. */
  readonly live: readonly ConfigChange[];
  /** Takes effect after a restart only. */
  readonly restart: readonly ConfigChange[];
}

/** One key with its value, for lists of settings. Holds no secret. */
export interface ConfigEntry {
  readonly key: string;
  readonly value: string;
  /** True when a new value takes effect without a restart. */
  readonly live: boolean;
}

/** Compares two configurations key by key; listeners are told apart by name, so their order does not matter. */
export function diffConfig(before: Config, after: Config): ConfigDiff {
  const diff: { readonly live: ConfigChange[]; readonly restart: ConfigChange[] } = { live: [], restart: [] };
  collect(diff, CONFIG_KEYS, '', before, after);
  const old = byName(before.listeners);
  const current = byName(after.listeners);
  for (const [name, listener] of old) {
    if (!current.has(name)) {
      diff.restart.push({ key: `listeners[${name}]`, before: showListener(listener), after: 'none' });
    }
  }
  for (const [name, listener] of current) {
    const was = old.get(name);
    if (was === undefined) {
      diff.restart.push({ key: `listeners[${name}]`, before: 'none', after: showListener(listener) });
    } else {
      collect(diff, LISTENER_KEYS, `listeners[${name}].`, was, listener);
    }
  }
  return diff;
}

/** Every key with its value, in the order of the file. */
export function listConfig(config: Config): readonly ConfigEntry[] {
  const entries = CONFIG_KEYS.map((entry) => ({ key: entry.key, value: entry.show(config), live: entry.live }));
  const listeners = config.listeners.flatMap((listener) =>
    LISTENER_KEYS.map((entry) => ({
      key: `listeners[${listener.name}].${entry.key}`,
      value: entry.show(listener),
      live: entry.live,
    })),
  );
  const afterCluster = entries.findIndex((entry) => !entry.key.startsWith('cluster.'));
  return entries.toSpliced(afterCluster, 0, ...listeners);
}

function collect<Owner>(
  diff: { readonly live: ConfigChange[]; readonly restart: ConfigChange[] },
  keys: readonly ConfigKey<Owner>[],
  prefix: string,
  before: Owner,
  after: Owner,
): void {
  for (const entry of keys) {
    if (!isDeepStrictEqual(entry.value(before), entry.value(after))) {
      const change = { key: prefix + entry.key, before: entry.show(before), after: entry.show(after) };
      (entry.live ? diff.live : diff.restart).push(change);
    }
  }
}

function byName(listeners: readonly ListenerConfig[]): ReadonlyMap<string, ListenerConfig> {
  return new Map(listeners.map((listener) => [listener.name, listener]));
}

function showListener(listener: ListenerConfig): string {
  return `${formatAddress(listener.address)} ${listener.route}`;
}
