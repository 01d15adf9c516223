import { setTimeout as delay } from 'node:timers/promises';
import { sql } from '../../support/postgres-server.js';
import { RawClient } from '../../support/raw-client.js';
import { roles } from '../../support/roles.js';
import { longestGapMs } from './gaps.js';
import { monotonicMs } from './monotonic.js';

const PAUSE_MS = 10;
/** A node that says nothing for so long is dialled again. */
const PATIENCE_MS = 3_000;

interface Node {
  readonly host: string;
  readonly port: number;
}

/**
 * What the cluster itself needs: a writer on every node, directly, all the time, whatever its role. The floor is the longest time
 * without an acknowledged write that is still there when everything is over: a primary that was left behind acknowledges writes that
 * are lost later.
 */
export class FloorWriters {
  readonly #nodes: readonly Node[];
  readonly #ends: Promise<void>[];
  #acknowledged: { readonly n: number; readonly atMs: number }[];
  #next: number;
  #isOver: boolean;

  constructor(nodes: readonly Node[]) {
    this.#nodes = nodes;
    this.#ends = [];
    this.#acknowledged = [];
    this.#next = 0;
    this.#isOver = false;
  }

  start(): void {
    for (const node of this.#nodes) this.#ends.push(this.#write(node));
  }

  /** The longest gap since the last call, told from what the leader has now. */
  async takeRound(leader: Node): Promise<number> {
    const acknowledged = this.#acknowledged;
    this.#acknowledged = [];
    const first = acknowledged.reduce((least, { n }) => Math.min(least, n), Infinity);
    if (first === Infinity) return 0;
    const rows = await sql(leader, 'select n from chaos_floor where n >= $1', { ...roles.app, values: [first] });
    const there = new Set(rows.map((row) => Number(row['n'])));
    return longestGapMs(acknowledged.filter(({ n }) => there.has(n)).map(({ atMs }) => atMs));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#ends);
  }

  async #write({ port }: Node): Promise<void> {
    let client: RawClient | null = null;
    let isPrimary = false;
    while (!this.#isOver) {
      try {
        client ??= await RawClient.login({ port, ...roles.app, timeoutMs: PATIENCE_MS });
        // Asked first: a standby would write every refused statement to its log.
        isPrimary ||= (await client.rows('select pg_is_in_recovery()'))[0]?.[0] === 'f';
        if (isPrimary) await this.#writeOnce(client);
      } catch {
        client?.destroy();
        client = null;
        isPrimary = false;
      }
      await delay(PAUSE_MS);
    }
    client?.destroy();
  }

  async #writeOnce(client: RawClient): Promise<void> {
    const n = (this.#next += 1);
    const { error, closed } = await client.query(`insert into chaos_floor values (${n})`);
    if (closed || error !== null) throw new Error('the node does not take it');
    this.#acknowledged.push({ n, atMs: monotonicMs() });
  }
}
