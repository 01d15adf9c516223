import { promotionsSchema } from '../../admin/promotion-document.js';
import type { PromotionDocument, PromotionsDocument } from '../../admin/promotion-document.js';
import type { HostPort } from '../../config/address.js';
import { askAdmin, problemOf } from '../admin/ask-admin.js';

const PATH = '/api/v1/promotions';
const ANSWER_TIMEOUT_MS = 5_000;
const LOOK_INTERVAL_MS = 100;

/** A phase that has begun. */
export interface PhaseNews {
  readonly phase: string;
  readonly startedAtEpochMs: number;
}

/** Watches a promotion through one proxy, and tells each phase once. */
export class PromotionFollower {
  readonly #address: HostPort;
  readonly #tell: (news: PhaseNews) => void;
  readonly #lastId: number;
  #told = 0;
  #followedId: number | null = null;
  #record: PromotionDocument | null = null;
  #isOver = false;

  private constructor(address: HostPort, lastId: number, tell: (news: PhaseNews) => void) {
    this.#address = address;
    this.#lastId = lastId;
    this.#tell = tell;
  }

  /** Begins behind what is known now. */
  static async begin(address: HostPort, tell: (news: PhaseNews) => void): Promise<PromotionFollower> {
    const { current, promotions } = await fetchPromotions(address);
    return new PromotionFollower(address, Math.max(current?.id ?? 0, promotions[0]?.id ?? 0), tell);
  }

  /** The promotion as last seen; null: it has not begun. */
  get record(): PromotionDocument | null {
    return this.#record;
  }

  /** Looks until `stop` is called. */
  async run(): Promise<void> {
    while (!this.#isOver) {
      await this.look();
      await pause();
    }
  }

  /** Looks on until units go on at the new primary and its record is closed, or the time is over. */
  async settle(timeoutMs: number): Promise<PromotionDocument | null> {
    const untilMs = performance.now() + timeoutMs;
    while (performance.now() < untilMs) {
      await this.look();
      if (this.#record !== null && this.#record.outcome !== null && isClosed(this.#record)) break;
      await pause();
    }
    return this.#record;
  }

  stop(): void {
    this.#isOver = true;
  }

  async look(): Promise<void> {
    let seen: PromotionsDocument;
    try {
      seen = await fetchPromotions(this.#address);
    } catch {
      // The end of it is asked for once more, and then it counts.
      return;
    }
    const all = [...(seen.current === null ? [] : [seen.current]), ...seen.promotions];
    const isOurs = (each: PromotionDocument): boolean =>
      each.id > this.#lastId && each.outcome !== 'emptied' && each.outcome !== 'not_emptied';
    const record = this.#followedId === null ? all.findLast(isOurs) : all.find(({ id }) => id === this.#followedId);
    if (record === undefined) return;
    this.#followedId = record.id;
    this.#record = record;
    for (const { phase, startedAt } of record.phases.slice(this.#told)) {
      this.#tell({ phase, startedAtEpochMs: Date.parse(startedAt) });
    }
    this.#told = Math.max(this.#told, record.phases.length);
  }
}

function isClosed({ phases }: PromotionDocument): boolean {
  return phases.every(({ durationSeconds }) => durationSeconds !== null);
}

async function fetchPromotions(address: HostPort): Promise<PromotionsDocument> {
  const answer = await askAdmin(address, { path: PATH, timeoutMs: ANSWER_TIMEOUT_MS });
  if (answer.status !== 200) throw new Error(problemOf(address, answer));
  return promotionsSchema.parse(JSON.parse(answer.text));
}

function pause(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, LOOK_INTERVAL_MS));
}
