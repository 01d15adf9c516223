import { z } from 'zod';
import type { PromotionRecord } from '../failover/promotion-record.js';

const text = z.string();
const number = z.number();
const byLabel = z.record(text, number);

const MS_PER_S = 1000;

/** One promotion, or the drain of a standby, as `/api/v1/promotions` and the status tell it. */
export const promotionSchema = z.object({
  /** Counts from 1 in each process. */
  id: number,
  /** `promoted`, `called_off`, `returned`, `emptied`, `not_emptied`; null while it is under way. */
  outcome: text.nullable(),
  from: text,
  to: text.nullable(),
  timelineFrom: number,
  timelineTo: number.nullable(),
  /** ISO 8601. */
  startedAt: text,
  /** From the first sign to the release. */
  disturbedSeconds: number.nullable(),
  /** The longest wait of a unit for the primary: the pause that clients noticed. */
  pauseSeconds: number,
  phases: z.array(
    z.object({
      /** `announced`, `draining`, `leader_lost`, `confirming` or `releasing`. */
      phase: text,
      startedAt: text,
      /** Null while it lasts. */
      durationSeconds: number.nullable(),
    }),
  ),
  counts: z.object({
    held: number,
    holdTimeouts: number,
    moved: number,
    /** By why a unit may be run again. */
    replayed: byLabel,
    transactionsLost: number,
    inDoubt: number,
    /** By SQLSTATE. */
    unitsCut: byLabel,
    /** Sessions that ended, by reason. */
    closed: byLabel,
  }),
});

/** What `/api/v1/promotions` says. */
export const promotionsSchema = z.object({
  current: promotionSchema.nullable(),
  /** The newest first. */
  promotions: z.array(promotionSchema),
});

export type PromotionDocument = z.infer<typeof promotionSchema>;
export type PromotionsDocument = z.infer<typeof promotionsSchema>;

export function promotionOf(record: PromotionRecord): PromotionDocument {
  const { counts } = record;
  return {
    id: record.id,
    outcome: record.outcome,
    from: record.from,
    to: record.to,
    timelineFrom: record.timelineFrom,
    timelineTo: record.timelineTo,
    startedAt: isoOf(record.startedAtEpochMs),
    disturbedSeconds: record.disturbedMs === null ? null : inSeconds(record.disturbedMs),
    pauseSeconds: inSeconds(record.pauseMs),
    phases: record.phases.map(({ phase, startedAtEpochMs, durationMs }) => ({
      phase,
      startedAt: isoOf(startedAtEpochMs),
      durationSeconds: durationMs === null ? null : inSeconds(durationMs),
    })),
    counts: {
      ...counts,
      replayed: { ...counts.replayed },
      unitsCut: { ...counts.unitsCut },
      closed: { ...counts.closed },
    },
  };
}

function isoOf(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** Whole milliseconds are enough. */
function inSeconds(ms: number): number {
  return Math.round(ms) / MS_PER_S;
}
