import { Frontend } from '../../protocol/codes.js';
import { serialize } from 'pg-protocol';
import { queryMessage } from '../../protocol/frontend-messages.js';
import { anywhere, quotedName } from './kept.js';
import type { Kept } from './kept.js';
import { closeMessage } from './own-messages.js';
import { PlanWriter } from './plan-writer.js';
import type { PreparedEntry } from './prepared.js';
import { isCircumstance } from './remains.js';
import type { Remains } from './remains.js';
import { ReplayKind } from './replay-plan.js';
import type { SessionReplay } from './replay-plan.js';
import { standingOf } from './standing.js';
import type { Standing } from './standing.js';

/** Replayed last, because what is replayed behind them might not get through, or not on every node. */
const LATE: ReadonlySet<string> = new Set([
  'statement_timeout',
  'lock_timeout',
  'transaction_timeout',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'default_transaction_isolation',
  'default_transaction_read_only',
  'default_transaction_deferrable',
]);
/** Setting it changes one half of what it was. */
const DATESTYLE = 'datestyle';

/** What the backend has already. */
export interface StateThere {
  readonly settings: ReadonlyMap<string, Kept>;
  readonly channels: ReadonlyMap<string, Kept>;
  /** Those of the made-up names that exist. */
  readonly madeUp: ReadonlySet<string>;
}

/** Everything that is to be replayed. */
export interface ReplayMatter {
  readonly there: StateThere;
  readonly remains: Remains;
  readonly madeUp: ReadonlySet<string>;
  readonly prepared: Iterable<PreparedEntry>;
  /** It is to listen as the session does. */
  readonly listens: boolean;
  /** The text that begins the transaction which is to be open in the end; null: none. */
  readonly begin: string | null;
}

/**
 * Plans the replay of what the backend has not: settings in the order in which they were last set, statements, channels, each under the
 * circumstances in which it was written, and those of the session itself in the end. Null when there is nothing to say.
 */
export function planReplay(matter: ReplayMatter): SessionReplay | null {
  const { there, remains, madeUp, prepared, listens, begin } = matter;
  const { settings } = remains;
  const plan = new PlanWriter({ standing: standingOf((name) => there.settings.get(name)), reading: null }, false);
  const isMissing = (name: string, kept: Kept): boolean => !isCircumstance(name) && there.settings.get(name) !== kept;
  const missing = [...settings].filter(([name, kept]) => isMissing(name, kept));
  const resets: string[] = [];
  for (const [name, kept] of there.settings) {
    if (isCircumstance(name) || settings.get(name) === kept) continue;
    // What holds up what is replayed goes first, also where it is replaced.
    if (settings.has(name) && !LATE.has(name) && name !== DATESTYLE) continue;
    if (kept.under === anywhere) resets.push(name);
    else plan.addReset(name, kept);
  }
  const early = missing.filter(([name]) => !LATE.has(name));
  plan.addStart(resets, startsOf(early));
  for (const [name, kept] of early) if (kept.under !== anywhere) plan.add(ReplayKind.Setting, name, kept);
  for (const name of madeUp) if (!there.madeUp.has(name) && !settings.has(name)) plan.addTrace(name);
  let unnamed: PreparedEntry | null = null;
  for (const entry of prepared) {
    if (entry.statement.name === '') unnamed = entry;
    else plan.addStatement(entry, false);
  }
  if (listens) addChannels(plan, there.channels, remains.channels);
  const late = missing.filter(([name]) => LATE.has(name));
  plan.addStart([], startsOf(late));
  for (const [name, kept] of late) if (kept.under !== anywhere) plan.add(ReplayKind.Setting, name, kept);
  plan.finish(standingOf((name) => settings.get(name)));
  if (begin !== null) plan.query(ReplayKind.Begin, '', begin);
  // A simple Query would destroy it.
  if (unnamed?.statement.frame) plan.addParse('', unnamed.statement.frame, unnamed.mark, false);
  return plan.replay();
}

/** Closes statements; null when there are none. */
export function planCloses(names: readonly string[]): SessionReplay | null {
  if (names.length === 0) return null;
  return {
    bytes: Buffer.concat([...names.map(closeMessage), serialize.sync()]),
    types: [...names.map(() => Frontend.Close), Frontend.Sync],
    parts: [{ kind: ReplayKind.Close, name: '', mark: 0 }],
  };
}

/** Plans how a statement is prepared once more where it is prepared already; null when it was not kept. */
export function planAgain({ statement, mark }: PreparedEntry): SessionReplay | null {
  const { name, frame, sql } = statement;
  if (frame !== null) {
    return {
      bytes: Buffer.concat([closeMessage(name), frame, serialize.sync()]),
      types: [Frontend.Close, Frontend.Parse, Frontend.Sync],
      parts: [{ kind: ReplayKind.Parse, name, mark }],
    };
  }
  if (sql === null) return null;
  const deallocate = Buffer.from(`DEALLOCATE ${quotedName(name)}`, 'latin1');
  return {
    bytes: Buffer.concat([queryMessage(deallocate), queryMessage(Buffer.from(sql, 'latin1'))]),
    types: [Frontend.Query, Frontend.Query],
    parts: [
      { kind: ReplayKind.Close, name, mark: 0 },
      { kind: ReplayKind.Prepare, name, mark },
    ],
  };
}

/** Plans how settings of its startup packet come back to a session that has reset them in its transaction. */
export function planStart(settings: Iterable<Kept>, standing: Standing): SessionReplay | null {
  const plan = new PlanWriter({ standing, reading: null }, true);
  plan.addStart([], [...settings]);
  plan.tidyUp();
  return plan.replay();
}

function startsOf(settings: readonly (readonly [string, Kept])[]): readonly Kept[] {
  return settings.map(([, kept]) => kept).filter(({ under }) => under === anywhere);
}

function addChannels(plan: PlanWriter, there: ReadonlyMap<string, Kept>, wanted: ReadonlyMap<string, Kept>): void {
  if (there === wanted) return;
  for (const [name, kept] of there) if (!wanted.has(name)) plan.addUnlisten(name, kept);
  for (const [name, kept] of wanted) if (!there.has(name)) plan.add(ReplayKind.Listen, name, kept);
}
