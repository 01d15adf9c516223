import { z } from 'zod';
import { addressesCollide, formatAddress } from './address.js';
import { count, listenAddress, tags, text } from './fields.js';
import { CONSISTENCIES } from './routing-schema.js';

const LISTENERS_MAX = 100;

/** What a listener serves. */
const ROUTES = ['primary', 'standby', 'split'] as const;

/** What a session of a standby or split listener gets while no standby may take it, or its reads. */
const FALLBACKS = ['primary', 'wait', 'error'] as const;

/** Which standbys a standby or split listener takes. */
const STANDBY_KINDS = ['any', 'sync', 'async'] as const;

/** Keys that mean something on some routes only. */
const ONLY_FOR = [
  ['fallback', ['standby', 'split']],
  ['prefer', ['standby', 'split']],
  ['tags', ['standby', 'split']],
  ['consistency', ['split']],
] as const;

/** For how long a session has a backend. */
export const POOL_MODES = ['session', 'transaction'] as const;

const listenerSchema = z
  .strictObject({
    name: text().meta({ description: 'What the listener is called in logs, metrics and the console.' }),
    address: listenAddress().meta({
      description:
        'Where it listens: "127.0.0.1:5000", "[::1]:5000", or "*:5000" for every interface; port 0 takes any free one.',
    }),
    route: z.enum(ROUTES).meta({
      description:
        'primary: every session lives on the primary. standby: sessions live on standbys that are fresh enough. split: writes go to the primary, proven reads to standbys.',
    }),
    fallback: z.enum(FALLBACKS).optional().meta({
      default: 'primary',
      description:
        'Standby and split listeners. While no standby may take a session, or a read of a split one: primary serves it there, wait holds it, error refuses it.',
    }),
    prefer: z.enum(STANDBY_KINDS).optional().meta({
      default: 'any',
      description: 'Standby and split listeners. Which standbys are taken: any, synchronous or asynchronous ones.',
    }),
    tags: tags().optional().meta({
      default: {},
      description: 'Standby and split listeners. Only standbys with all of these tags are taken.',
    }),
    consistency: z.enum(CONSISTENCIES).optional().meta({
      description: 'Split listeners only. What reads on standbys never miss; routing.consistency when left out.',
    }),
    pool_mode: z.enum(POOL_MODES).optional().meta({
      description: 'As pool.mode, for sessions of this listener; pool.mode when left out.',
    }),
    backlog: count(1, 65_535)
      .prefault(1024)
      .meta({ description: 'Connections that the kernel may keep waiting to be accepted.' }),
  })
  .transform((listener, context) => {
    for (const [key, routes] of ONLY_FOR) {
      if (listener[key] !== undefined && !routes.some((route) => route === listener.route)) {
        const message = `is only for listeners with route: ${routes.join(' or ')}`;
        context.addIssue({ code: 'custom', path: [key], message });
      }
    }
    return {
      name: listener.name,
      address: listener.address,
      route: listener.route,
      /** Means nothing on a primary listener. */
      fallback: listener.fallback ?? 'primary',
      /** Means nothing on a primary listener. */
      prefer: listener.prefer ?? 'any',
      /** Tags that a standby must have; empty on a primary listener. */
      tags: listener.tags ?? new Map<string, string>(),
      /** Of a split listener; null: as `routing.consistency`. */
      consistency: listener.consistency ?? null,
      /** Null: as `pool.mode`. */
      poolMode: listener.pool_mode ?? null,
      backlog: listener.backlog,
    };
  });

/** `listeners`: where clients come in. */
export const listenersSchema = z
  .array(listenerSchema)
  .min(1)
  .max(LISTENERS_MAX)
  .superRefine((listeners, context) => {
    for (const [index, listener] of listeners.entries()) {
      const earlier = listeners.slice(0, index);
      const sameName = earlier.findIndex((other) => other.name === listener.name);
      if (sameName !== -1) {
        const message = `"${listener.name}" is already the name of listeners[${sameName}]`;
        context.addIssue({ code: 'custom', path: [index, 'name'], message });
      }
      const samePlace = earlier.findIndex((other) => addressesCollide(other.address, listener.address));
      const taken = earlier[samePlace];
      if (taken !== undefined) {
        const message = `${formatAddress(listener.address)} is already taken by listeners[${samePlace}] (${formatAddress(taken.address)})`;
        context.addIssue({ code: 'custom', path: [index, 'address'], message });
      }
    }
  });
