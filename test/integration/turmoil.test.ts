import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PostgresCluster } from '../support/postgres-cluster.js';
import { sql } from '../support/postgres-server.js';
import { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import type { RawReply } from '../support/raw-reply.js';
import { roles } from '../support/roles.js';
import { ControlsYard } from './controls-lab.js';
import type { PoolMode } from './controls-lab.js';
import { Dice } from './random-programs.js';

const SESSIONS = 24;
const DURATION_MS = Number(process.env['SWITCHYARD_TEST_SECONDS'] ?? 12) * 1000;
/** Longest time between two things that happen to the sessions. */
const PEACE_MS = 200;
/** What a session may be told for what it does itself (divisions by zero), and for what is done to its statements and backends. */
const EXPECTED: ReadonlySet<string> = new Set(['22012', '25P02', '57014', '57P01', '08007', '40001']);

const { parse, bind, execute, sync, query } = frontend;
const closers: (() => unknown)[] = [];
let cluster: PostgresCluster;

before(async () => {
  cluster = await PostgresCluster.start(
    { after: (close) => void closers.unshift(close) },
    { standbys: 2, appStatements: ['create table items(id int)', 'alter table items owner to app'] },
  );
});

after(async () => {
  for (const close of closers) await close();
});

/** The messages of one unit. */
type Unit = readonly Buffer[];

const simple = (...texts: readonly string[]): readonly Unit[] => texts.map((text) => [query(text)]);

/** What a session may do next: units that are sent one after the other. */
const acts: readonly ((dice: Dice) => readonly Unit[])[] = [
  (dice) => simple(`select count(*) from items where id = ${dice.below(50)}`),
  (dice) => simple(`insert into items values (${dice.below(50)})`),
  (dice) => simple(`set work_mem = '${1 + dice.below(9)}MB'`, 'show work_mem'),
  (dice) => simple(`select pg_sleep(${dice.below(10) / 100})`),
  () => simple('select 1 / 0'),
  () => simple('do $$ begin perform 1; end $$'),
  () => simple('create temp table if not exists kept(a int)', 'insert into kept values (1)', 'drop table kept'),
  () => simple('select pg_advisory_lock_shared(1)', 'select pg_advisory_unlock_all()'),
  () => simple('listen news', 'notify news', 'unlisten *'),
  () => simple('discard all'),
  (dice) =>
    simple(
      dice.of(['begin', 'begin read only']),
      ...Array.from({ length: dice.below(4) }, () =>
        dice.of(['select count(*) from items', 'select 1', 'select 1 / 0']),
      ),
      dice.of(['commit', 'rollback']),
    ),
  () => [[parse('select 1 / $1::int'), bind({ values: ['0'] }), execute(), sync()]],
  (dice) => {
    const name = `s${dice.below(3)}`;
    return [
      [frontend.close('S', name), parse(`select ${dice.below(3)}`, { name }), sync()],
      [bind({ statement: name }), execute(), sync()],
    ];
  },
  // In one write.
  () => [['select 1', 'select 1 / 0', 'insert into items values (7)', 'select 2'].map((text) => query(text))],
];

/** A client that does one thing after the other, and notes what it did not expect to be told. */
class Restless {
  readonly wrong: string[] = [];
  units = 0;
  readonly #lab: ControlsYard;
  readonly #listener: string;
  readonly #dice: Dice;
  #client: RawClient | null = null;

  constructor(lab: ControlsYard, listener: string, seed: number) {
    this.#lab = lab;
    this.#listener = listener;
    this.#dice = new Dice(seed);
  }

  async live(untilMs: number): Promise<void> {
    while (performance.now() < untilMs) {
      const client = (this.#client ??= await this.#lab.client(this.#listener));
      for (const unit of this.#dice.of(acts)(this.#dice)) {
        if (!(await this.#run(client, unit))) break;
      }
      if (this.#dice.below(10) === 0) await sleep(this.#dice.below(300));
    }
    await this.#client?.end();
  }

  async cancel(): Promise<void> {
    if (this.#client?.key !== null && this.#client?.key !== undefined) {
      await RawClient.cancel({ port: this.#lab.yard.port(this.#listener) }, this.#client.key);
    }
  }

  /** False: the connection is over, or what comes next had needed this. */
  async #run(client: RawClient, unit: Unit): Promise<boolean> {
    const isPipeline = unit.length > 1 && unit.every((message) => message[0] === 'Q'.charCodeAt(0));
    client.send(...unit);
    for (let left = isPipeline ? unit.length : 1; left > 0; left -= 1) {
      // A session that is not answered ends the test here.
      const reply = await client.reply();
      this.units += 1;
      this.#judge(reply);
      if (reply.closed) this.#client = null;
      if (reply.closed || (reply.error !== null && reply.status === 'I' && !isPipeline)) return false;
    }
    return true;
  }

  #judge({ error, closed }: RawReply): void {
    const code = error?.code ?? null;
    if (code !== null && !EXPECTED.has(code)) this.wrong.push(`${code} ${error?.message}`);
    // A session ends with its backend only where it has something there.
    if (closed && code !== '57P01') this.wrong.push(`closed with ${code}`);
  }
}

/** Things that happen to everybody, one after the other. */
async function disturb(lab: ControlsYard, sessions: readonly Restless[], dice: Dice, untilMs: number): Promise<void> {
  const admin = await lab.admin();
  const port = lab.yard.port('rw');
  const somebody = `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${roles.app.user}' and random() < 0.2`;
  const kinds: readonly (() => Promise<unknown>)[] = [
    async () => admin.query('RECONNECT'),
    async () => admin.query('RECONNECT'),
    async () => dice.of(sessions).cancel(),
    async () => sql(dice.of(cluster.nodes), somebody),
    async () => {
      const standby = dice.of(cluster.standbys);
      await sql(standby, 'select pg_wal_replay_pause()');
      await sleep(dice.below(1_000));
      await sql(standby, 'select pg_wal_replay_resume()');
    },
    async () => {
      admin.send(query('PAUSE'));
      await sleep(dice.below(300));
      if (admin.key !== null) await RawClient.cancel({ port }, admin.key);
      if ((await admin.reply()).error === null) await admin.query('RESUME');
    },
  ];
  while (performance.now() < untilMs) {
    await dice.of(kinds)();
    await sleep(dice.below(PEACE_MS));
  }
}

for (const mode of ['session', 'transaction'] as const satisfies readonly PoolMode[]) {
  test(`in pool mode ${mode} every statement is answered, whatever happens to backends meanwhile`, async (t) => {
    const seed = Number(process.env['SWITCHYARD_TEST_SEED'] ?? Date.now() % 1_000_003);
    t.diagnostic(`seed ${seed}`);
    const size = mode === 'transaction' ? 6 : SESSIONS * 2;
    const lab = await ControlsYard.start(t, cluster, mode, { pool: { mode, size, max_idle: size } });
    const untilMs = performance.now() + DURATION_MS;
    const listenerOf = (i: number): string => (i % 4 === 0 ? 'rw' : 'split');
    const sessions = Array.from({ length: SESSIONS }, (_, i) => new Restless(lab, listenerOf(i), seed + i));
    await Promise.all([
      ...sessions.map(async (session) => session.live(untilMs)),
      disturb(lab, sessions, new Dice(seed), untilMs),
    ]);
    assert.deepEqual(
      sessions.flatMap(({ wrong }) => wrong),
      [],
    );
    t.diagnostic(`${sessions.reduce((sum, { units }) => sum + units, 0)} units`);
    const isQuiet = async () => (await lab.show('pools')).every(({ sv_active }) => sv_active === '0');
    await lab.until(isQuiet, 'the backends to be free');
  });
}
