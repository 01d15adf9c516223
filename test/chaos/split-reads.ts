import { setTimeout as delay } from 'node:timers/promises';
import { PostgresCluster } from '../support/postgres-cluster.js';
import type { Ending } from '../support/postgres-cluster.js';
import { waitFor } from '../support/processes.js';
import { RawClient, RawError } from '../support/raw-client.js';
import { roles } from '../support/roles.js';
import { SwitchyardProcess } from '../support/switchyard-process.js';
import { INCREASE, Witness, tallyOf, witnessStatements } from '../support/witness.js';
import type { Tally } from '../support/witness.js';
import { Dice } from '../support/dice.js';
import { monotonicMs } from './measure/monotonic.js';

/** What a run of reads through a split listener is to do. */
export interface SplitReadsPlan {
  readonly seed: number;
  readonly reads: number;
  readonly sessions: number;
  /** Standbys are started again now and then, too; else they are only slow. */
  readonly withRestarts: boolean;
}

/** What came of it. */
export interface SplitReadsResult {
  readonly tally: Tally;
  readonly onStandbys: number;
  /** Errors by SQLSTATE; empty: the connection broke. */
  readonly errors: ReadonlyMap<string, number>;
  readonly tookMs: number;
  /** What was done to the standbys. */
  readonly disturbances: number;
  /** What must not be. */
  readonly violations: readonly string[];
}

const PRIMARY = 'node1';
const TIMEOUT_MS = 30_000;
/** Reads behind each write, over all. */
const READS_PER_WRITE = 9;
/** Writes in a row of one session: few keep it on the primary, many let it come back to the standbys afterwards. */
const BURST_MAX = 60;
/** How long replay stands still, and how late it may be. */
const STILL_MS_MAX = 1_500;
const DELAYS_MS = [0, 0, 0, 5, 10, 20, 40, 200, 1_000];
const BETWEEN_MS_MAX = 1_000;
const RESTART_CHANCE = 0.1;
/** Between two increases of the counter that all sessions look at. */
const INCREASE_PAUSE_MS = 5;
const SAY_EVERY_MS = 15_000;

/** Runs sessions that write and read, one write to nine reads, while the replay of the standbys is slow, stands still, or begins anew. */
export async function runSplitReads(plan: SplitReadsPlan, say: (line: string) => void): Promise<SplitReadsResult> {
  const cleanups: (() => Promise<unknown>)[] = [];
  const ending: Ending = { after: (run) => void cleanups.push(run) };
  try {
    say(`seed ${plan.seed}: starting a primary, two standbys and the proxy`);
    const cluster = await PostgresCluster.start(ending, { appStatements: witnessStatements });
    const proxy = await SwitchyardProcess.start(ending, configOf(cluster));
    await waitFor(async () => (await fetch(`http://127.0.0.1:${proxy.adminPort}/readyz?listener=split`)).ok, {
      timeoutMs: TIMEOUT_MS,
      what: 'the proxy to be ready',
    });
    return await new SplitReads(plan, cluster, proxy.port('split'), say).run();
  } finally {
    for (const run of cleanups.toReversed()) await run();
  }
}

function configOf(cluster: PostgresCluster): object {
  return {
    cluster: {
      nodes: cluster.nodes.map(({ name, port }) => ({ name, host: '127.0.0.1', port })),
      monitor: { user: roles.monitor.user, password: roles.monitor.password },
    },
    listeners: [{ name: 'split', address: '127.0.0.1:0', route: 'split' }],
    routing: { warm_up: '0s', min_dwell: '100ms' },
    auth: { query: 'SELECT * FROM switchyard.user_lookup($1)' },
    admin: { address: '127.0.0.1:0' },
  };
}

class SplitReads {
  readonly #plan: SplitReadsPlan;
  readonly #cluster: PostgresCluster;
  readonly #port: number;
  readonly #say: (line: string) => void;
  readonly #dice: Dice;
  readonly #witnesses: Witness[] = [];
  readonly #errors = new Map<string, number>();
  readonly #violations: string[] = [];
  readonly #over = new AbortController();
  #disturbances = 0;
  #reads = 0;

  constructor(plan: SplitReadsPlan, cluster: PostgresCluster, port: number, say: (line: string) => void) {
    this.#plan = plan;
    this.#cluster = cluster;
    this.#port = port;
    this.#say = say;
    this.#dice = new Dice(plan.seed);
  }

  async run(): Promise<SplitReadsResult> {
    for (let id = 1; id <= this.#plan.sessions; id += 1) {
      this.#witnesses.push(await Witness.begin(await this.#connect(), id));
    }
    const beganAtMs = monotonicMs();
    const sides = [this.#disturb(), this.#increase(), this.#tell(beganAtMs)];
    try {
      await Promise.all(this.#witnesses.map((witness) => this.#testify(witness)));
    } finally {
      this.#over.abort();
      await Promise.all(sides);
      for (const { client } of this.#witnesses) client.destroy();
    }
    const tookMs = monotonicMs() - beganAtMs;
    const tally = tallyOf(this.#witnesses);
    // A transaction on a standby is lost with it.
    const unexpected = [...this.#errors].filter(
      ([code]) => !(this.#plan.withRestarts && code === '40001 in a transaction'),
    );
    const violations = [
      ...this.#violations,
      ...tally.wrong,
      ...unexpected.map(([code, count]) => `${count} errors ${code}`),
    ];
    const onStandbys = tally.elsewhereThan(PRIMARY);
    if (onStandbys === 0) violations.push('no read was on a standby, so that nothing is proven');
    return { tally, onStandbys, errors: this.#errors, tookMs, disturbances: this.#disturbances, violations };
  }

  async #connect(): Promise<RawClient> {
    return RawClient.login({ port: this.#port, ...roles.app, timeoutMs: TIMEOUT_MS });
  }

  async #testify(witness: Witness): Promise<void> {
    while (this.#reads < this.#plan.reads) {
      const burst = this.#dice.between(1, BURST_MAX);
      // Each write is looked at at once; the rest of the reads come behind the last one.
      for (let n = 0; n < burst; n += 1) {
        await this.#attempt(witness, () => witness.write());
        await this.#read(witness);
      }
      for (let n = 0; n < burst * (READS_PER_WRITE - 1); n += 1) await this.#read(witness);
    }
  }

  async #read(witness: Witness): Promise<void> {
    this.#reads += 1;
    await this.#attempt(witness, () => witness.read());
  }

  async #attempt(witness: Witness, run: () => Promise<unknown>): Promise<void> {
    try {
      await run();
    } catch (error) {
      const isInTransaction = witness.wasInTransaction;
      const code = error instanceof RawError ? error.fields.code : '';
      this.#count(isInTransaction ? `${code} in a transaction` : code);
      if (!(error instanceof RawError)) witness.useClient(await this.#connect());
      else if (isInTransaction) await witness.rollBack();
    }
  }

  #count(code: string): void {
    this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1);
  }

  async #increase(): Promise<void> {
    const client = await this.#connect();
    while (!this.#over.signal.aborted) {
      await client.rows(INCREASE);
      await delay(INCREASE_PAUSE_MS);
    }
    client.destroy();
  }

  /** Does something to one of the standbys after the other. */
  async #disturb(): Promise<void> {
    const dice = new Dice(this.#plan.seed + 1);
    const { signal } = this.#over;
    while (!signal.aborted) {
      const node = dice.pick(this.#cluster.standbys);
      this.#disturbances += 1;
      if (this.#plan.withRestarts && dice.chance(RESTART_CHANCE)) {
        await node.stop(dice.pick(['fast', 'immediate']));
        await node.start();
      } else if (dice.chance(0.5)) {
        node.configure({ settings: { recovery_min_apply_delay: `${dice.pick(DELAYS_MS)}ms` } });
        await node.reload();
      } else {
        node.pauseReplay();
        await delay(dice.between(0, STILL_MS_MAX), undefined, { signal }).catch(() => {});
        node.resumeReplay();
      }
      await delay(dice.between(0, BETWEEN_MS_MAX), undefined, { signal }).catch(() => {});
    }
  }

  async #tell(beganAtMs: number): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      await delay(SAY_EVERY_MS, undefined, { signal }).catch(() => {});
      const tally = tallyOf(this.#witnesses);
      const perSecond = Math.round((1000 * tally.reads) / (monotonicMs() - beganAtMs));
      this.#say(
        `${tally.reads} reads (${perSecond} a second), ${share(tally.elsewhereThan(PRIMARY), tally.reads)} on standbys`,
      );
    }
  }
}

function share(part: number, whole: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(1)} %`;
}

/** The result as a few lines for people. */
export function describeSplitReads({ tally, onStandbys, errors, tookMs, disturbances }: SplitReadsResult): string {
  const codes = [...errors].map(([code, count]) => `${count} x ${code === '' ? 'connection lost' : code}`);
  return [
    `${tally.reads} reads and ${tally.writes} writes in ${Math.round(tookMs / 1000)} s, ${disturbances} disturbances of the standbys`,
    `on standbys: ${onStandbys} reads (${share(onStandbys, tally.reads)}): ${[...tally.nodes].map((each) => each.join(' ')).join(', ')}`,
    `stale own reads: ${tally.stale}, back in time: ${tally.backwards}, never written: ${tally.absurd}`,
    `errors: ${codes.length === 0 ? 'none' : codes.join(', ')}`,
  ].join('\n');
}
