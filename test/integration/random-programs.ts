import { frontend } from '../support/raw-messages.js';
import type { RawClient } from '../support/raw-client.js';
import type { RawReply } from '../support/raw-reply.js';
import { typesOf } from './split-lab.js';

/** What random programs use, in each schema of these names. */
export function programStatements(schemas: readonly string[]): readonly string[] {
  return [
    ...schemas.flatMap((schema) => [
      `create schema ${schema} authorization app`,
      `create table ${schema}.t(id int primary key, n int not null)`,
      `insert into ${schema}.t select n, 0 from generate_series(1, 5) n`,
      `alter table ${schema}.t owner to app`,
      `create sequence ${schema}.s`,
      `alter sequence ${schema}.s owner to app`,
    ]),
    `create function setting(name text) returns text stable language sql as $$ select current_setting(name, true) $$`,
  ];
}

const { parse, bind, execute, sync, query, describe, close, flush } = frontend;

/** Numbers that only look random. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** One of so many, from 0. */
  below(count: number): number {
    // A linear congruential generator; the upper bits are the better ones.
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * count);
  }

  of<T>(some: readonly T[]): T {
    const found = some[this.below(some.length)];
    if (found === undefined) throw new Error('nothing to choose from');
    return found;
  }
}

const reads: readonly string[] = [
  'select id, n from t order by id',
  'select sum(n), count(*) from t',
  `select setting('work_mem'), setting('app.a'), setting('timezone')`,
  'select n from t where id = 3',
  'select 1 / (n - n) from t where id = 1',
  'select * from not_there',
  'select generate_series(1, 3)',
  'values (1), (2)',
  'explain (costs off) select * from t where id = 1',
  'copy (select n from t order by id) to stdout',
  '',
];
const writes: readonly string[] = [
  'update t set n = n + 1 where id = 2 returning n',
  'update t set n = n + 10',
  'insert into t values (6, 0) on conflict (id) do update set n = t.n + 100 returning n',
  'delete from t where id = 6',
  'insert into t values (1, 1)',
  `select nextval('s')`,
  'select n from t where id = 1 for update',
  `select set_config('app.a', 'b', false)`,
];
const others: readonly string[] = [
  'begin',
  'begin',
  'begin read only',
  'begin isolation level repeatable read read only',
  'commit',
  'commit',
  'rollback',
  `set work_mem to '5MB'`,
  `set local work_mem to '6MB'`,
  'reset work_mem',
  `set timezone to 'Asia/Tokyo'`,
  `set app.a to 'x'`,
  'reset all',
  'reset timezone',
  'discard all',
  'show work_mem',
  'show transaction_isolation',
  'prepare p1 as select sum(n) from t',
  'prepare p2 as update t set n = n + 1000 where id = 4 returning n',
  'execute p1',
  'execute p2',
  'deallocate p1',
  'deallocate all',
  'discard all; set search_path to @',
  'create temp table u as select 5 as n',
  'select * from u',
  'drop table u',
  'declare c cursor for select id from t order by id',
  'declare h cursor with hold for select id from t order by id',
  'fetch 2 from c',
  'fetch 2 from h',
  'close h',
  'selec',
  `select 1; select n from t where id = 2; update t set n = n + 5 where id = 2`,
  'select 1; select 2; select sum(n) from t',
  'begin; update t set n = n + 1; commit',
  'begin read only; select sum(n) from t; commit',
  'update t set n = n + 1; select 1/0',
];

/** These end the connection where they are executed by EXECUTE outside of a transaction block. */
const savepoints: readonly string[] = ['savepoint a', 'savepoint a', 'rollback to a', 'release a'];

/** One text of a program. */
function text(dice: Dice, schema: string): string {
  const kind = dice.below(10);
  return dice.of(kind < 5 ? reads : kind < 7 ? writes : others).replace('@', schema);
}

const RESETS = /^(reset|discard)/;

/** A unit of a random program, in the tables of `schema`. `resetsAlone`: what resets settings is nothing but that. */
export function unit(dice: Dice, schema: string, resetsAlone = false): Buffer {
  const name = (): string => dice.of(['', '', 'p1', 'p2', 'p3']);
  switch (dice.below(8)) {
    case 0:
      return query(dice.below(3) === 0 ? dice.of(savepoints) : text(dice, schema));
    case 1:
    case 2:
      return query(text(dice, schema));
    case 3: {
      const each = name();
      return Buffer.concat([
        ...(dice.below(2) === 0 ? [close('S', each)] : []),
        parse(text(dice, schema), { name: each }),
        describe('S', each),
        sync(),
      ]);
    }
    case 4:
      return Buffer.concat([bind({ statement: name() }), describe('P'), execute('', dice.below(3)), sync()]);
    case 5: {
      const count = dice.below(3) + 1;
      const texts = Array.from({ length: count }, () => text(dice, schema)).map((each) =>
        resetsAlone && RESETS.test(each) ? 'select 1' : each,
      );
      const batch = texts.flatMap((each) => [parse(each), bind(), execute()]);
      return Buffer.concat([...batch, ...(dice.below(4) === 0 ? [flush()] : []), sync()]);
    }
    case 6:
      return Buffer.concat([parse(text(dice, schema)), bind(), describe('P'), execute(), sync()]);
    default:
      return dice.below(3) === 0 ? sync() : Buffer.concat([close('S', name()), sync()]);
  }
}

/** What must be the same: all that the client sees, but for what has no meaning. */
function essence(reply: RawReply): unknown {
  const { error, rows, tags, status, copied, columns } = reply;
  return {
    types: typesOf(reply).replaceAll(/[NS]/g, ''),
    code: error?.code,
    message: error?.message,
    rows,
    tags,
    status,
    copied: copied.toString(),
    columns,
  };
}

/** What a client sees of these units, sent at once. */
export async function answers(client: RawClient, units: readonly Buffer[]): Promise<unknown[]> {
  client.send(...units);
  const all: unknown[] = [];
  for (let n = 0; n < units.length; n += 1) all.push(essence(await client.reply()));
  return all;
}
