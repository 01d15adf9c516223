import { z } from 'zod';
import { addressesCollide, formatAddress } from './address.js';
import { count, listenAddress, tags, text } from './fields.js';

const LISTENERS_MAX = 100;

/** What a listener serves. */
const ROUTES = ['primary', 'standby'] as const;

/** What a session of a standby listener gets while no standby may take it. */
const FALLBACKS = ['primary', 'wait', 'error'] as const;

/** Which standbys a standby listener takes. */
const STANDBY_KINDS = ['any', 'sync', 'async'] as const;

const STANDBY_ONLY = ['fallback', 'prefer', 'tags'] as const;

const listenerSchema = z
  .strictObject({
    name: text().meta({ description: 'What the listener is called in logs, metrics and the console.' }),
    address: listenAddress().meta({
      description:
        'Where it listens: "127.0.0.1:5000", "[::1]:5000", or "*:5000" for every interface; port 0 takes any free one.',
    }),
    route: z
      .enum(ROUTES, {
        error: (issue) => (issue.input === 'split' ? 'route split is not available in this version' : undefined),
      })
      .meta({
        description:
          'primary: every session lives on the primary. standby: sessions live on standbys that are fresh enough.',
      }),
    fallback: z.enum(FALLBACKS).optional().meta({
      default: 'primary',
      description:
        'Standby listeners only. While no standby may take a session: primary serves it there, wait holds it, error refuses it.',
    }),
    prefer: z.enum(STANDBY_KINDS).optional().meta({
      default: 'any',
      description: 'Standby listeners only. Which standbys are taken: any, synchronous or asynchronous ones.',
    }),
    tags: tags()
      .optional()
      .meta({ default: {}, description: 'Standby listeners only. Only standbys with all of these tags are taken.' }),
    backlog: count(1, 65_535)
      .prefault(1024)
      .meta({ description: 'Connections that the kernel may keep waiting to be accepted.' }),
  })
  .transform((listener, context) => {
    if (listener.route !== 'standby') {
      for (const key of STANDBY_ONLY) {
        if (listener[key] !== undefined) {
          context.addIssue({ code: 'custom', path: [key], message: 'is only for listeners with route: standby' });
        }
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
