import { DcsState } from '../dcs/claims.js';
import { eligibleStandbys } from '../routing/eligibility.js';
import type { Proxy, ServedListener } from './proxy.js';

/** One thing that was looked at. */
export interface ReadyCheck {
  readonly name: string;
  readonly ok: boolean;
  /** False: it is told, and does not count. */
  readonly required: boolean;
  /** Why not; null when it is well. */
  readonly reason: string | null;
}

export interface Readiness {
  readonly isReady: boolean;
  /** The first reason why not; null when it is ready. */
  readonly reason: string | null;
  readonly checks: readonly ReadyCheck[];
}

/**
 * Whether clients should be sent here. For the whole proxy: it listens, does not stop, knows the cluster, and serves its primary and
 * split listeners or, where there are none, at least one standby listener. With a listener's name: it serves this one. A split listener is
 * served as long as there is a primary, or a standby for its reads: that its writes wait for a promotion is told and does not count. Old
 * claims of the DCS alone change nothing, since what they said is still proven by the nodes.
 */
export function readinessOf(proxy: Proxy, only: ServedListener | null): Readiness {
  const { listeners } = proxy;
  const hasWriting = listeners.some(({ intent }) => intent.route !== 'standby');
  const served = listeners.map((listener) => {
    const reason = whyNotServed(proxy, listener);
    return { listener, name: `listener ${listener.name}`, ok: reason === null, reason };
  });
  const servesStandby = served.some(({ listener, ok }) => ok && listener.intent.route === 'standby');
  const isRequired = ({ name, intent }: ServedListener): boolean => {
    if (only !== null) return only.name === name;
    return hasWriting ? intent.route !== 'standby' : !servesStandby;
  };
  const checks: ReadyCheck[] = [
    check('listening', true, whyNotListening(proxy)),
    check('running', true, proxy.isStopping ? 'the proxy is shutting down' : null),
    check('cluster', true, whyNotKnown(proxy)),
    ...served.flatMap(({ listener, name, ok, reason }) => [
      { name, ok, required: isRequired(listener), reason },
      ...partsOf(proxy, listener),
    ]),
    check('dcs', false, whyNotLive(proxy)),
  ];
  const failed = checks.find(({ ok, required }) => required && !ok);
  return { isReady: failed === undefined, reason: failed?.reason ?? null, checks };
}

function check(name: string, required: boolean, reason: string | null): ReadyCheck {
  return { name, ok: reason === null, required, reason };
}

function whyNotListening(proxy: Proxy): string | null {
  const open = new Set(proxy.listeners.map(({ name }) => name));
  const missing = proxy.config.listeners.filter(({ name }) => !open.has(name)).map(({ name }) => name);
  return missing.length === 0 ? null : `not open: ${missing.join(', ')}`;
}

function whyNotKnown(proxy: Proxy): string | null {
  const { dcs, nodes } = proxy.watch.store.view;
  if (dcs.state === DcsState.Unknown) return dcs.trouble ?? 'nothing has been read from the DCS yet';
  return nodes.size === 0 ? 'no node of the cluster is known' : null;
}

function whyNotLive(proxy: Proxy): string | null {
  const { dcs } = proxy.watch.store.view;
  return dcs.state === DcsState.Live ? null : (dcs.trouble ?? `the claims are ${dcs.state}`);
}

/** What a split listener serves, told apart: reads and writes. */
function partsOf(proxy: Proxy, listener: ServedListener): ReadyCheck[] {
  if (listener.intent.route !== 'split') return [];
  return [
    check(`listener ${listener.name}: reads`, false, whyNoReads(proxy, listener)),
    check(`listener ${listener.name}: writes`, false, whyNoPrimary(proxy)),
  ];
}

function whyNotServed(proxy: Proxy, listener: ServedListener): string | null {
  const noPrimary = whyNoPrimary(proxy);
  switch (listener.intent.route) {
    case 'primary':
      return noPrimary;
    case 'standby':
      return whyNoReads(proxy, listener);
    case 'split':
    default: {
      const noStandby = whyNoStandby(proxy, listener);
      return noPrimary === null || noStandby === null ? null : `${noPrimary}; and ${noStandby}`;
    }
  }
}

/** Why nothing can be read, the fallback to the primary included. */
function whyNoReads(proxy: Proxy, listener: ServedListener): string | null {
  const noStandby = whyNoStandby(proxy, listener);
  if (noStandby === null || listener.intent.fallback !== 'primary') return noStandby;
  const noPrimary = whyNoPrimary(proxy);
  return noPrimary === null ? null : `${noStandby}; and no primary to fall back to: ${noPrimary}`;
}

function whyNoPrimary({ watch }: Proxy): string | null {
  const { primary, noPrimaryReason } = watch.store.view;
  return primary === null ? (noPrimaryReason ?? 'there is no primary') : null;
}

function whyNoStandby({ watch }: Proxy, { intent }: ServedListener): string | null {
  const { eligible, refused } = eligibleStandbys(watch.store.view, intent);
  if (eligible.length > 0) return null;
  const why = refused.map(({ node, reason }) => `${node} (${reason})`).join(', ');
  return why === '' ? 'there is no standby' : `no standby takes sessions: ${why}`;
}
