import { RawError } from './raw-client.js';
import type { RawClient } from './raw-client.js';
import { frontend } from './raw-messages.js';
import type { RawReply } from './raw-reply.js';
import { roles } from './roles.js';

const COUNTER = 'witness_counter';
const OWN = 'witness_own';
const PREPARED = 'witness_look';

/**
 * What witnesses need in the database of the application. `witness_node()` is STABLE, so that a read that calls it is a proven one; it tells
 * nodes apart by a setting: `cluster_name`, or `port` where all have the same name.
 */
export const witnessStatementsBy = (setting: 'cluster_name' | 'port'): readonly string[] => [
  `create function witness_node() returns text stable language sql as $$ select current_setting('${setting}') $$`,
  `create table ${OWN}(id int primary key, n int not null)`,
  `create table ${COUNTER}(n bigint not null)`,
  `insert into ${COUNTER} values (0)`,
  `create function witness_bump(who int, value int) returns void volatile language sql
     as $$ update ${OWN} set n = value where id = who $$`,
  `alter table ${OWN} owner to ${roles.app.user}`,
  `alter table ${COUNTER} owner to ${roles.app.user}`,
];

export const witnessStatements = witnessStatementsBy('cluster_name');

/** Increases what every witness looks at. */
export const INCREASE = `update ${COUNTER} set n = n + 1`;

/** What one read has shown: the node that ran it, the witness's own row, and the counter. */
export interface Sighting {
  readonly node: string;
  readonly own: number;
  readonly counter: number;
}

/** What was wrong and is told in words. */
const EXAMPLES_MAX = 10;

/** What all reads of a witness, or of many, amount to. */
export class Tally {
  writes = 0;
  reads = 0;
  /** Reads that did not show the last write that the witness was acknowledged. */
  stale = 0;
  /** Reads that showed less than an earlier one of the same witness. */
  backwards = 0;
  /** Reads that showed what was never written. */
  absurd = 0;
  /** Reads by the node that ran them. */
  readonly nodes = new Map<string, number>();
  readonly examples: string[] = [];

  /** What must be nothing. */
  get wrong(): readonly string[] {
    if (this.stale + this.backwards + this.absurd === 0) return [];
    return [`${this.stale} stale, ${this.backwards} back in time, ${this.absurd} absurd`, ...this.examples];
  }

  /** Reads that any other node than this one has run. */
  elsewhereThan(node: string): number {
    return this.reads - (this.nodes.get(node) ?? 0);
  }

  add(other: Tally): void {
    this.writes += other.writes;
    this.reads += other.reads;
    this.stale += other.stale;
    this.backwards += other.backwards;
    this.absurd += other.absurd;
    for (const [node, count] of other.nodes) this.nodes.set(node, (this.nodes.get(node) ?? 0) + count);
    this.examples.push(...other.examples.slice(0, EXAMPLES_MAX - this.examples.length));
  }
}

/** The sum of what several witnesses have seen. */
export function tallyOf(witnesses: Iterable<{ readonly tally: Tally }>): Tally {
  const sum = new Tally();
  for (const { tally } of witnesses) sum.add(tally);
  return sum;
}

/**
 * A session that writes a row of its own and looks at it, and at a counter that somebody else increases: it must see its own last write,
 * and nothing may ever grow smaller. It writes and reads in several ways in turn. Errors of the server are exceptions (RawError); what
 * it has seen, and what was acknowledged, outlives its connection.
 */
export class Witness {
  readonly id: number;
  readonly tally = new Tally();
  #client: RawClient;
  #isPrepared = false;
  #isInTransaction = false;
  #reads = 0;
  /** The last write that was acknowledged. */
  #acknowledged = 0;
  /** The last write that was sent; its fate may be unknown. */
  #sent = 0;
  #seenOwn = 0;
  #seenCounter = 0;
  /** Where it has read last. */
  #node = '';

  /** How many of the ways are used: the last one is a transaction. */
  readonly #ways: number;

  private constructor(client: RawClient, id: number, ways: number) {
    this.#client = client;
    this.id = id;
    this.#ways = ways;
  }

  /** `id`: no other witness may have it. `isAutocommit`: without transactions of several units. */
  static async begin(client: RawClient, id: number, isAutocommit = false): Promise<Witness> {
    await client.rows(`insert into ${OWN} values (${id}, 0)`);
    return new Witness(client, id, isAutocommit ? 3 : 4);
  }

  get client(): RawClient {
    return this.#client;
  }

  /** Goes on with another connection. */
  useClient(client: RawClient): void {
    this.#client = client;
    this.#isPrepared = false;
    this.#isInTransaction = false;
  }

  /** Returns when the write was acknowledged. */
  async write(): Promise<void> {
    this.#sent += 1;
    const value = this.#sent;
    const text = `update ${OWN} set n = ${value} where id = ${this.id}`;
    switch (value % this.#ways) {
      case 0:
        await this.#query(text);
        break;
      case 1:
        await this.#unit(
          frontend.parse(`update ${OWN} set n = $1 where id = $2`),
          frontend.bind({ values: [String(value), String(this.id)] }),
          frontend.execute(),
          frontend.sync(),
        );
        break;
      case 2:
        await this.#query(`select witness_bump(${this.id}, ${value})`);
        break;
      default:
        await this.#transaction('begin', text);
    }
    this.#acknowledged = value;
    this.tally.writes += 1;
  }

  /** Reads, and judges what is shown. */
  async read(): Promise<Sighting> {
    this.#reads += 1;
    const reply = await this.#look();
    const [node, own, counter] = reply.rows[0] ?? [];
    const sighting = { node: String(node), own: Number(own ?? -1), counter: Number(counter ?? -1) };
    this.#judge(sighting);
    return sighting;
  }

  /** The last error came within a transaction of several units, or was the answer to its end. */
  get wasInTransaction(): boolean {
    return this.#isInTransaction;
  }

  /** Leaves the transaction that an error has ended. */
  async rollBack(): Promise<void> {
    await this.#query('rollback');
    this.#isInTransaction = false;
  }

  async #look(): Promise<RawReply> {
    const text = (id: string): string =>
      `select witness_node(), (select n from ${OWN} where id = ${id}), (select n from ${COUNTER})`;
    const values = [String(this.id)];
    const rest = [frontend.execute(), frontend.sync()];
    switch (this.#reads % this.#ways) {
      case 0:
        return this.#query(text(String(this.id)));
      case 1:
        return this.#unit(frontend.parse(text('$1')), frontend.bind({ values }), ...rest);
      case 2: {
        // Closed first: an error may have come behind its Parse.
        const parse = [frontend.close('S', PREPARED), frontend.parse(text('$1'), { name: PREPARED })];
        const reply = await this.#unit(
          ...(this.#isPrepared ? [] : parse),
          frontend.bind({ statement: PREPARED, values }),
          ...rest,
        );
        this.#isPrepared = true;
        return reply;
      }
      default:
        return this.#transaction('begin read only', text(String(this.id)));
    }
  }

  async #transaction(begin: string, text: string): Promise<RawReply> {
    this.#isInTransaction = true;
    await this.#query(begin);
    const reply = await this.#query(text);
    await this.#query('commit');
    this.#isInTransaction = false;
    return reply;
  }

  #judge({ node, own, counter }: Sighting): void {
    const { tally } = this;
    tally.reads += 1;
    tally.nodes.set(node, (tally.nodes.get(node) ?? 0) + 1);
    const isStale = own < this.#acknowledged;
    const isBackwards = own < this.#seenOwn || counter < this.#seenCounter;
    const isAbsurd = !(own <= this.#sent && counter >= 0);
    if (isStale) tally.stale += 1;
    if (isBackwards) tally.backwards += 1;
    if (isAbsurd) tally.absurd += 1;
    if ((isStale || isBackwards || isAbsurd) && tally.examples.length < EXAMPLES_MAX) {
      tally.examples.push(
        `witness ${this.id}, read ${this.#reads} on ${node} after one on ${this.#node}: own row ${own} ` +
          `(acknowledged ${this.#acknowledged}, seen ${this.#seenOwn}, sent ${this.#sent}), counter ${counter} (seen ${this.#seenCounter})`,
      );
    }
    this.#seenOwn = Math.max(this.#seenOwn, own);
    this.#seenCounter = Math.max(this.#seenCounter, counter);
    this.#node = node;
  }

  async #query(text: string): Promise<RawReply> {
    return this.#unit(frontend.query(text));
  }

  async #unit(...bytes: readonly Buffer[]): Promise<RawReply> {
    const reply = await this.#client.unit(...bytes);
    if (reply.error !== null) throw new RawError(reply.error);
    if (reply.closed) throw new Error(`the connection of witness ${this.id} was closed`);
    return reply;
  }
}
