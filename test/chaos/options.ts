import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { FAULTS, faultsOf } from './faults/catalogue.js';
import { MIXES } from './load/mixes.js';
import type { Mix } from './load/mixes.js';
import type { Plan } from './plan.js';
import type { SplitReadsPlan } from './split-reads.js';

const SEED_MAX = 2 ** 31;
const HOLD_TIMEOUT_MS = 60_000;
/** How far the median gap of planned switchovers may be above the floor. */
const GAP_ABOVE_FLOOR_MS = 300;
const DEFAULT_ROUNDS = 20;
const COMPARED_ROUNDS = 8;
const READERS = 24;
/** What a machine that builds the project looks at: one of each nature. */
const SHORT = ['switchover', 'freeze-patroni', 'proxy-without-etcd', 'crash-leader', 'administrator'];

export const HELP = `npm run chaos -- [options]

Starts a Patroni cluster of three nodes with etcd, the built program in front of it, and clients of every kind; lets random faults happen
and checks what the clients were told against what is true. Needs root on Debian with the packages of .ci/setup.

  --seed N             Repeats the choices of an earlier run (printed at its start).
  --rounds N           Faults in a row (default ${DEFAULT_ROUNDS}).
  --minutes N          No new fault after so many minutes.
  --only A,B,...       Only these faults, see --list.
  --mix KIND           Clients: ${MIXES.join(', ')} (default mixed).
  --route split        The clients of the primary are on a split listener, and some more read what they have written there.
  --pool transaction   The clients share backends, fewer than they are.
  --asynchronous       synchronous_mode off: a crash may lose what was acknowledged, and that is not counted against the proxy.
  --etcd 1|3           Members of etcd (default 3).

  --short              About three minutes: ${SHORT.join(', ')}.
  --switchovers N      N planned switchovers under 16 autocommit sessions: no error, no dropped connection, gap within 0.3 s of the floor.
  --crashes N          N crashes of the leader under the same load, synchronous: at most one error for each statement in flight.
  --reads N            No Patroni: N reads, and a ninth of that writes, by sessions of a split listener while the replay of two standbys
                       is slow or stands still: no session misses its own write, none goes back in time.
  --sessions N         With --reads: so many sessions (default ${READERS}).
  --restarts           With --reads: the standbys are started again now and then, too.
  --compare haproxy    The same load through HAProxy with Patroni's checks, in the same run; prints a table in Markdown.

  --keep-logs          Keeps the logs of a run that went well, too.
  --log-level LEVEL    Of the proxy (default info).
  --list               The faults.
  --help               This text.`;

/** What the command line asks for: a plan, reads through a split listener, or a text to be printed. */
export type Request = { readonly plan: Plan } | { readonly splitReads: SplitReadsPlan } | { readonly text: string };

/** Reads the command line; throws with what is wrong with it. */
export function readOptions(argv: readonly string[]): Request {
  const { values } = parse(argv);
  if (values.help === true) return { text: HELP };
  if (values.list === true) return { text: FAULTS.map((each) => `${each.name} (${each.nature})`).join('\n') };
  const seed = values.seed === undefined ? randomInt(SEED_MAX) : wholeNumber('seed', values.seed);
  if (values.reads !== undefined) return { splitReads: splitReadsOf(values, seed) };
  const wanted = preset(values);
  return {
    plan: {
      ...wanted,
      seed,
      faults: values.only === undefined ? wanted.faults : faultsOf(values.only.split(',')),
      rounds: values.rounds === undefined ? wanted.rounds : wholeNumber('rounds', values.rounds),
      durationMs: values.minutes === undefined ? Infinity : wholeNumber('minutes', values.minutes) * 60_000,
      mix: values.mix === undefined ? wanted.mix : mixOf(values.mix),
      route: routeOf(values.route ?? 'primary'),
      poolMode: poolModeOf(values.pool ?? 'session'),
      isSynchronous: values.asynchronous === true ? false : wanted.isSynchronous,
      etcdMembers: values.etcd === undefined ? wanted.etcdMembers : etcdMembersOf(values.etcd),
      holdTimeoutMs: HOLD_TIMEOUT_MS,
      logLevel: values['log-level'] ?? 'info',
      keepLogs: values['keep-logs'] ?? false,
    },
  };
}

type Values = ReturnType<typeof parse>['values'];
type Preset = Pick<
  Plan,
  'faults' | 'rounds' | 'mix' | 'isSynchronous' | 'etcdMembers' | 'strictness' | 'isOrdered' | 'withHaproxy'
>;

const USUAL: Preset = {
  faults: FAULTS,
  rounds: DEFAULT_ROUNDS,
  mix: 'mixed',
  isSynchronous: true,
  etcdMembers: 3,
  strictness: {},
  isOrdered: false,
  withHaproxy: false,
};

function preset(values: Values): Preset {
  const chosen = [values.short, values.switchovers, values.crashes, values.compare].filter(
    (each) => each !== undefined,
  );
  if (chosen.length > 1) throw new Error('--short, --switchovers, --crashes and --compare exclude each other');
  if (values.short === true) {
    return { ...USUAL, faults: faultsOf(SHORT), rounds: SHORT.length, isOrdered: true, etcdMembers: 1 };
  }
  if (values.switchovers !== undefined) {
    const strictness = { errorsPerRoundMax: 0, droppedMax: 0, gapAboveFloorMs: GAP_ABOVE_FLOOR_MS };
    const rounds = wholeNumber('switchovers', values.switchovers);
    const faults = faultsOf(['switchover']);
    return { ...USUAL, faults, rounds, mix: 'autocommit', isSynchronous: false, etcdMembers: 1, strictness };
  }
  if (values.crashes !== undefined) {
    const strictness = { errorsPerRoundMax: 'in_flight', droppedMax: 0 } as const;
    const rounds = wholeNumber('crashes', values.crashes);
    return { ...USUAL, faults: faultsOf(['crash-leader']), rounds, mix: 'autocommit', etcdMembers: 1, strictness };
  }
  if (values.compare === undefined) return USUAL;
  if (values.compare !== 'haproxy') throw new Error('--compare knows haproxy only');
  const faults = faultsOf(['switchover', 'crash-leader']);
  return { ...USUAL, faults, rounds: COMPARED_ROUNDS, isOrdered: true, mix: 'few', withHaproxy: true };
}

function splitReadsOf(values: Values, seed: number): SplitReadsPlan {
  return {
    seed,
    reads: wholeNumber('reads', values.reads ?? ''),
    sessions: values.sessions === undefined ? READERS : wholeNumber('sessions', values.sessions),
    withRestarts: values.restarts ?? false,
  };
}

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string' },
      rounds: { type: 'string' },
      minutes: { type: 'string' },
      only: { type: 'string' },
      mix: { type: 'string' },
      route: { type: 'string' },
      pool: { type: 'string' },
      asynchronous: { type: 'boolean' },
      etcd: { type: 'string' },
      short: { type: 'boolean' },
      switchovers: { type: 'string' },
      crashes: { type: 'string' },
      compare: { type: 'string' },
      reads: { type: 'string' },
      sessions: { type: 'string' },
      restarts: { type: 'boolean' },
      'keep-logs': { type: 'boolean' },
      'log-level': { type: 'string' },
      list: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new Error(`--${name} wants a whole number`);
  return Number(text);
}

function mixOf(text: string): Mix {
  const found = MIXES.find((mix) => mix === text);
  if (found === undefined) throw new Error(`--mix knows ${MIXES.join(', ')}`);
  return found;
}

function routeOf(text: string): Plan['route'] {
  if (text !== 'primary' && text !== 'split') throw new Error('--route knows primary and split');
  return text;
}

function poolModeOf(text: string): Plan['poolMode'] {
  if (text !== 'session' && text !== 'transaction') throw new Error('--pool knows session and transaction');
  return text;
}

function etcdMembersOf(text: string): number {
  if (text !== '1' && text !== '3') throw new Error('--etcd knows 1 and 3');
  return Number(text);
}
