import { NodeError } from '../backend/node-error.js';
import { SwitchyardError } from '../errors.js';
import type { RouteDecision } from '../routing/router.js';
import type { NodeName } from '../util/brand.js';
import type { HoldRefusal } from './hold.js';

/** First and longest delay between two tries at a node that refuses though the view says that it is fit. */
const RETRY_MS = 100;
const RETRY_MAX_MS = 1_000;
const TOO_MANY_CONNECTIONS = '53300';
/** The node starts, stops, or changes its role. */
const NOT_NOW: ReadonlySet<string> = new Set(['57P01', '57P02', '57P03']);
/**
 * Where PostgreSQL says 53300 because of a role's or a database's own CONNECTION LIMIT, and not because the server is full
 * (`src/backend/utils/init/miscinit.c` and `postinit.c`). Its message may be in any language; the name of the function is not.
 */
const OWN_LIMIT_ROUTINES: ReadonlySet<string> = new Set(['InitializeSessionUserId', 'CheckMyDatabase']);

/**
 * A node's refusal that will pass: it starts, stops, changes its role, is out of reach for a moment, or, for whoever `mayWaitForRoom`, is
 * full. Null: it will not pass (a wrong password, a database that is not there), or is not to be waited out.
 */
export function passingRefusal(error: Error, node: NodeName, mayWaitForRoom: boolean): HoldRefusal | null {
  const message = `node ${node} refused: ${error.message}`;
  if (error instanceof NodeError) {
    if (NOT_NOW.has(error.sqlState)) return { message, isFull: false, isOwn: false };
    if (error.sqlState !== TOO_MANY_CONNECTIONS || !mayWaitForRoom) return null;
    return { message, isFull: true, isOwn: OWN_LIMIT_ROUTINES.has(error.fields.routine) };
  }
  const isPassing =
    error instanceof SwitchyardError &&
    (error.code === 'backend_connect_failed' || error.code === 'backend_lost' || error.code === 'not_the_primary');
  return isPassing ? { message, isFull: false, isOwn: false } : null;
}

/** What a unit is told that was held for too long; `trouble`: what nodes said last. */
export function outOfTime(
  isForPrimary: boolean,
  message: string,
  trouble: HoldRefusal | null,
  holdTimeoutMs: number,
): SwitchyardError {
  if (trouble?.isFull === true) return noRoom(trouble, holdTimeoutMs);
  const hint = 'The session stays open; try again later.';
  return new SwitchyardError(isForPrimary ? 'no_primary' : 'no_standby', trouble?.message ?? message, { hint });
}

/** What a unit is told for which the router knows no node, and will not know one soon. */
export function noWay({ code, message, detail }: RouteDecision & { readonly kind: 'error' }): SwitchyardError {
  return new SwitchyardError(code, message, { detail });
}

/** What a unit is told that would have to wait where no more may. */
export function tooManyHeld(message: string): SwitchyardError {
  return new SwitchyardError('too_many_held', `too many sessions wait already: ${message}`);
}

/** What a unit is told that has waited for a free connection in vain. */
export function noRoom(refusal: HoldRefusal, holdTimeoutMs: number): SwitchyardError {
  return new SwitchyardError('too_many_backends', `no connection became free within ${holdTimeoutMs} ms`, {
    detail: `The ${refusal.message}.`,
    hint: 'The bound is the max_connections of the node (or a CONNECTION LIMIT of the role or the database); promotion.hold_timeout says how long to wait for room. pool.max_backends_per_node keeps sessions in a queue of the proxy instead.',
  });
}

/** Delay before the next try at a node that has refused `refusals` times in a row; drawn at random, so that sessions do not come in step. */
export function retryDelayMs(refusals: number, random = Math.random): number {
  const fullMs = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.min(refusals - 1, 10));
  return fullMs * (0.5 + random() / 2);
}
