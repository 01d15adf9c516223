import { SwitchyardError } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { Counters } from '../../metrics/counters.js';
import type { NodeName } from '../../util/brand.js';
import type { Clock } from '../../util/clock.js';
import type { Backend } from '../backend.js';
import { NodeError } from '../node-error.js';
import { Opening } from './bucket.js';
import type { Bucket, Waiter } from './bucket.js';
import type { Buckets } from './buckets.js';
import { LoginFailures } from './login-failures.js';
import { LoginGate } from './login-gate.js';
import type { BackendRequest, Connector } from './pool-request.js';

export interface OpenerParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly connector: Connector;
  readonly buckets: Buckets;
  readonly random: () => number;
  readonly loginConcurrency: () => number;
  /** A backend is here; it counts no longer as one that is on its way. */
  readonly onOpen: (opening: Opening, backend: Backend) => void;
  /** None will come. */
  readonly onFailed: (opening: Opening, error: Error) => void;
}

/** Opens backends: not too many at one time on a node, and not where the node has just said no. */
export class Opener {
  readonly failures: LoginFailures;
  readonly #parts: OpenerParts;
  readonly #gate: LoginGate;

  constructor(parts: OpenerParts) {
    this.#parts = parts;
    this.failures = new LoginFailures(parts.clock, parts.random);
    this.#gate = new LoginGate(parts.loginConcurrency, (opening) => void this.#run(opening));
  }

  /** Begins to open one more backend, now or when it is its turn. There is room for it. `waiter` null: nobody has asked for it. */
  open(bucket: Bucket, request: BackendRequest, waiter: Waiter | null, isReserve: boolean): void {
    const opening = new Opening(bucket, request, waiter, isReserve);
    if (waiter !== null) waiter.opening = opening;
    this.#parts.buckets.begin(opening);
    this.failures.began(opening);
    this.#gate.enter(opening);
  }

  /** Nobody waits for it any more. One that is under way ends as failed, in a moment. */
  giveUp(opening: Opening): void {
    if (opening.isStarted) {
      opening.abort.abort();
      return;
    }
    this.#gate.withdraw(opening);
    this.failures.ended(opening, false);
    this.#parts.buckets.end(opening);
  }

  /** Log-ins that could begin at once on the node. */
  spare(node: NodeName): number {
    return this.#gate.spare(node);
  }

  /** Those whose turn has not come. */
  waitingAt(node: NodeName): readonly Opening[] {
    return this.#gate.waitingAt(node);
  }

  async #run(opening: Opening): Promise<void> {
    const { clock, connector, counters, buckets, onOpen, onFailed } = this.#parts;
    const { bucket, request, abort } = opening;
    const startedAtMs = clock.nowMs();
    const outcome = await connector.open(request, abort.signal).catch((reason: unknown) => {
      return reason instanceof Error ? reason : new Error(String(reason));
    });
    buckets.end(opening);
    if (outcome instanceof Error) {
      if (abort.signal.aborted) this.failures.ended(opening, false);
      else this.#noteFailure(opening, outcome);
      onFailed(opening, outcome);
    } else {
      counters.backendsOpened += 1;
      if (opening.isReserve) counters.backendsOpenedFromReserve += 1;
      counters.backendConnectDuration.observeMs(clock.nowMs() - startedAtMs);
      this.failures.ended(opening, true);
      onOpen(opening, outcome);
    }
    this.#gate.leave(bucket.node);
  }

  #noteFailure(opening: Opening, error: Error): void {
    const { counters, logger, clock } = this.#parts;
    counters.backendConnectFailures.add(codeOf(error));
    const isKnown = this.failures.has(opening.bucket);
    if (!this.failures.note(opening, error)) return;
    const { node, user, database } = opening.bucket;
    const untilMs = this.failures.untilMs(opening.bucket);
    const pauseMs = untilMs === null ? 0 : Math.round(untilMs - clock.nowMs());
    const fields = { node, user, database, code: codeOf(error), error: error.message, pauseMs };
    if (isKnown) logger.debug(fields, 'the node refuses the log-in still');
    else logger.warn(fields, 'the node refuses a log-in: the next one waits');
  }
}

function codeOf(error: Error): string {
  if (error instanceof NodeError) return error.sqlState;
  return error instanceof SwitchyardError ? error.code : 'internal';
}
