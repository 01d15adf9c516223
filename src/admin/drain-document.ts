import { z } from 'zod';
import type { DrainOrder } from '../failover/drain-order.js';
import type { SessionRegistry } from '../session/registry.js';

const MS_PER_S = 1000;

/** One node that is being emptied, as the API and the status tell it. */
export const drainSchema = z.object({
  id: z.number(),
  node: z.string(),
  /** `primary` or `standby`: what the node was when it began. */
  target: z.string(),
  /** Nothing new starts there; false: only what could be sent again when the node is stopped. */
  firm: z.boolean(),
  sinceSeconds: z.number(),
  /** Sessions that a stop of the node would disturb, and why they are still there. */
  sessions: z.number(),
  reasons: z.record(z.string(), z.number()),
  /** `empty`, `unmovable` or `timed_out`; null while they are waited for. */
  verdict: z.string().nullable(),
  /** `cancelled`, `gone` or `expired`; null while the node is kept empty. */
  end: z.string().nullable(),
});

export type DrainDocument = z.infer<typeof drainSchema>;

/** What is asked with POST `/api/v1/drain`. */
export const drainRequestSchema = z
  .strictObject({
    node: z.string().min(1).optional(),
    /** Whoever is the primary now. */
    primary: z.literal(true).optional(),
    firm: z.boolean().default(true),
    /** Answer line by line until the node is empty or the time is over. */
    wait: z.boolean().default(false),
    timeoutMs: z.int().min(0).max(600_000).default(30_000),
  })
  .refine(({ node, primary }) => (node === undefined) !== (primary === undefined), {
    message: 'name either a node or the primary',
  });

export type DrainRequest = z.input<typeof drainRequestSchema>;

/** What is asked with POST `/api/v1/drain/cancel`: one node, or all. */
export const drainCancelSchema = z.strictObject({ node: z.string().min(1).optional() });

/** What is asked with POST `/api/v1/forget-past`: the name of the cluster, so that nobody does it to another one by mistake. */
export const forgetPastSchema = z.strictObject({ cluster: z.string().min(1) });

export function drainOf(order: DrainOrder, registry: SessionRegistry, nowMs: number): DrainDocument {
  const { sessions, reasons } = order.left(registry);
  return {
    id: order.id,
    node: order.node,
    target: order.target,
    firm: order.isFirm,
    sinceSeconds: Math.round(Math.max(0, nowMs - order.sinceMs)) / MS_PER_S,
    sessions,
    reasons: Object.fromEntries(Object.entries(reasons)),
    verdict: order.verdict,
    end: order.end,
  };
}
