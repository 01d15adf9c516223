import { z } from 'zod';

const text = z.string();

/** One session, as `/api/v1/sessions` tells it. Holds no secret and no statement. */
const sessionSchema = z.object({
  id: z.number(),
  user: text,
  database: text,
  applicationName: text,
  /** `host:port`. */
  client: text,
  listener: text,
  /** `primary`, `standby` or `split`: that of its listener. */
  route: text,
  ageSeconds: z.number(),
  /** `idle` (between two transactions), `active` or `waiting`. */
  state: text,
  /** As what the node was chosen that it is attached to, `primary` or `standby`; null: it is attached to none. */
  target: text.nullable(),
  /** Where it has a backend: the attached one first, then the one that a split session keeps beside it. */
  nodes: z.array(text),
  /** What its next unit waits for, and why; null: for nothing. */
  wait: z.object({ for: text, reason: text }).nullable(),
  /** What keeps it from changing its backend; null: nothing. */
  pin: z.object({ reason: text, text }).nullable(),
  /** Where its last unit went that a node was chosen for, as what, why and how long ago; null: there was none. */
  lastDecision: z.object({ target: text, node: text, reason: text, ageSeconds: z.number().nullable() }).nullable(),
});

/** What `/api/v1/sessions` says. Fields may be added, none of these goes or changes its meaning within v1. */
export const sessionsSchema = z.object({
  /** All sessions of the proxy. */
  total: z.number(),
  /** Those that are meant by the request, also beyond its limit. */
  matching: z.number(),
  /** In the order in which they logged in. */
  sessions: z.array(sessionSchema),
  /** What `after` is to be for the next ones; null: there are no more. */
  next: z.number().nullable(),
});

export type SessionsDocument = z.infer<typeof sessionsSchema>;
export type SessionDocument = SessionsDocument['sessions'][number];
