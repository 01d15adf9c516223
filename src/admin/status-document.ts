import { z } from 'zod';
import { drainSchema } from './drain-document.js';
import { promotionSchema } from './promotion-document.js';

const text = z.string();
const number = z.number();

const nodeSchema = z.object({
  name: text,
  host: text,
  port: number,
  /** `primary`, `standby` or `unknown`. */
  role: text,
  /** `healthy`, `lagging`, `unreachable` or `unknown`. */
  health: text,
  /** Why it is not healthy, or what else is worth knowing. */
  reason: text.nullable(),
  timeline: number.nullable(),
  /** Null: not known, which is not fresh. */
  lagBytes: number.nullable(),
  lagSeconds: number.nullable(),
  streaming: z.boolean(),
  synchronous: z.boolean(),
  acceptsConnections: z.boolean(),
  /** Kept empty because it is about to be stopped. */
  drained: z.boolean(),
  noloadbalance: z.boolean(),
  nofailover: z.boolean(),
  /** Patroni's REST address, as it claims it; null where there is no Patroni. */
  apiUrl: text.nullable(),
  weight: number,
  tags: z.record(text, text),
  /** As `server_version_num`. */
  serverVersion: number.nullable(),
  sampleAgeSeconds: number.nullable(),
  sessions: number,
  backends: z.object({ total: number, idle: number }),
});

const listenerSchema = z.object({
  name: text,
  route: text,
  host: text,
  port: number,
  /** Whether a new session would find a node now, and why not. */
  ready: z.boolean(),
  reason: text.nullable(),
  sessions: number,
});

/** What `/api/v1/status` says. Fields may be added, none of these goes or changes its meaning within v1. */
export const statusSchema = z.object({
  version: text,
  nodeVersion: text,
  /** What moves the bytes: `stream` or `native`. */
  engine: text,
  pid: number,
  uptimeSeconds: number,
  scope: text,
  /** `etcd3` or `nodes`. */
  provider: text,
  /** As `/readyz`, and why not. */
  ready: z.boolean(),
  reason: text.nullable(),
  promotion: z.object({
    /** `stable`, `announced`, `leader_lost` or `confirming`. */
    phase: text,
    /** Which units may start on the primary: `all`, `repeatable` (no transactions, nothing that could not be sent again) or `none`. */
    admits: text,
    /** Why units for the primary wait; null while they go on. */
    reason: text.nullable(),
    sinceSeconds: number,
    candidate: text.nullable(),
    /** How long units for the primary have waited; null while they go on. */
    disturbedSeconds: number.nullable(),
  }),
  dcs: z.object({
    /** `live`, `stale` or `unknown`. */
    state: text,
    /** Since when the claims were last confirmed. */
    ageSeconds: number.nullable(),
    trouble: text.nullable(),
  }),
  cluster: z.object({
    epoch: number,
    primary: text.nullable(),
    noPrimaryReason: text.nullable(),
    leader: text.nullable(),
    paused: z.boolean(),
    /** `off`, `on` or `quorum`, as Patroni's synchronous_mode. */
    synchronousMode: text,
    standbyCluster: z.boolean(),
    /** A switchover that was asked for; `scheduledAt` is null for now, else a time as of ISO 8601. */
    switchover: z
      .object({ leader: text.nullable(), candidate: text.nullable(), scheduledAt: text.nullable() })
      .nullable(),
    systemIdentifier: text.nullable(),
    timeline: number,
  }),
  nodes: z.array(nodeSchema),
  listeners: z.array(listenerSchema),
  sessions: z.object({ total: number, idle: number, active: number, waiting: number, startups: number, max: number }),
  drains: z.array(drainSchema),
  /** The newest first, and only a few of them; the others are in `/api/v1/promotions`. */
  promotions: z.array(promotionSchema),
  pauses: z.object({
    /** Every database is paused. */
    all: z.boolean(),
    /** Those that are paused by name. */
    databases: z.array(text),
    /** Those that take no new clients. */
    disabled: z.array(text),
    /** Sessions whose unit waits for the end of a pause; they are not among those that are held. */
    waiting: number,
  }),
  held: z.object({ total: number, primary: number, standby: number, oldestSeconds: number.nullable() }),
});

export type StatusDocument = z.infer<typeof statusSchema>;
export type StatusNode = StatusDocument['nodes'][number];
