import type { Replay } from '../../relay/relay.js';
import { FREE_SETTINGS } from './free-settings.js';
import { quotedString } from './kept.js';
import { statementMessages, tidyUpMessages } from './own-messages.js';

/** What one part of a replay brings back. */
export const ReplayKind = {
  /** A setting, `role` and `session_authorization` among them. */
  Setting: 'setting',
  /** What clients ask for in their startup packets, several settings at once. */
  Start: 'start',
  /** What a statement was prepared under; where that cannot be had, it is prepared as the session is now. */
  Circumstance: 'circumstance',
  /** A Parse: when it fails, the client will miss the statement when it uses it. */
  Parse: 'parse',
  /** PREPARE in SQL: likewise. */
  Prepare: 'prepare',
  Listen: 'listen',
  Unlisten: 'unlisten',
  /** BEGIN. */
  Begin: 'begin',
  /** That a setting of a made-up name exists though it has no value any more; nobody misses it. */
  Trace: 'trace',
  /** That the numbers which sequences gave to another session are gone. */
  Sequences: 'sequences',
  /** The value of a setting of the proxy itself, to be seen by SHOW. */
  Shown: 'shown',
  /** What fails, and the open transaction with it. */
  Failure: 'failure',
  /** What is left of statements that the session has no more, and of our own, is closed. */
  Close: 'close',
} as const;
export type ReplayKind = (typeof ReplayKind)[keyof typeof ReplayKind];

export interface ReplayPart {
  readonly kind: ReplayKind;
  /** Of the setting, statement or channel; one character for each byte. */
  readonly name: string;
  /** Of the statement that is prepared (see PreparedEntry); 0 for everything else. */
  readonly mark: number;
}

const INDISPENSABLE: ReadonlySet<ReplayKind> = new Set([
  ReplayKind.Setting,
  ReplayKind.Start,
  ReplayKind.Listen,
  ReplayKind.Unlisten,
  ReplayKind.Begin,
  ReplayKind.Sequences,
]);

/** Without it the session would not be itself: it ends when this fails. Of all else the client hears when it needs it. */
export function isIndispensable({ kind }: ReplayPart): boolean {
  return INDISPENSABLE.has(kind);
}

/** Messages that bring another backend into a session's state. */
export interface SessionReplay extends Replay {
  /** What each of them is for that is answered with a ReadyForQuery, in order. */
  readonly parts: readonly ReplayPart[];
}

/** Kinds that do not fail, or only where the unit behind them fails too, and says so. */
const HARMLESS: ReadonlySet<ReplayKind> = new Set([
  ReplayKind.Parse,
  ReplayKind.Prepare,
  ReplayKind.Trace,
  ReplayKind.Close,
  ReplayKind.Sequences,
  ReplayKind.Start,
]);

/** The unit may be sent behind it without a look at the answers. Of all else it must be known that it has arrived. */
export function isSure({ parts }: SessionReplay): boolean {
  return parts.every(
    ({ kind, name }) =>
      HARMLESS.has(kind) || (kind === ReplayKind.Setting && (FREE_SETTINGS.has(name) || name.includes('.'))),
  );
}

/** One after the other, in one write; null when there is none. */
export function joinReplays(replays: readonly (SessionReplay | null)[]): SessionReplay | null {
  const some = replays.filter((replay) => replay !== null);
  const [first] = some;
  if (first === undefined || some.length === 1) return first ?? null;
  return {
    bytes: Buffer.concat(some.map(({ bytes }) => bytes)),
    types: some.flatMap(({ types }) => types),
    parts: some.flatMap(({ parts }) => parts),
  };
}

/** Sets a setting of the proxy itself for SHOW; leaves the unnamed statement alone. */
export function settingReplay(name: string, value: string): SessionReplay {
  const text = `SELECT pg_catalog.set_config(${quotedString(name)}, ${quotedString(value)}, false)`;
  const set = statementMessages(Buffer.from(text).toString('latin1'));
  const tidyUp = tidyUpMessages();
  return {
    bytes: Buffer.concat([...set.bytes, ...tidyUp.bytes]),
    types: [...set.types, ...tidyUp.types],
    parts: [
      { kind: ReplayKind.Shown, name, mark: 0 },
      { kind: ReplayKind.Close, name: '', mark: 0 },
    ],
  };
}

/** Takes away what `currval` and `lastval` know; leaves the unnamed statement alone. */
export function sequencesReplay(): SessionReplay {
  const discard = statementMessages('DISCARD SEQUENCES');
  const tidyUp = tidyUpMessages();
  return {
    bytes: Buffer.concat([...discard.bytes, ...tidyUp.bytes]),
    types: [...discard.types, ...tidyUp.types],
    parts: [
      { kind: ReplayKind.Sequences, name: '', mark: 0 },
      { kind: ReplayKind.Close, name: '', mark: 0 },
    ],
  };
}

/** Makes the open transaction fail, as if something that the client has sent had failed; leaves the unnamed statement alone. */
export function failureReplay(): SessionReplay {
  const { bytes, types } = statementMessages(
    'SELECT 1/0 /* switchyard: fails on purpose, in place of a setting that means nothing */',
  );
  return { bytes: Buffer.concat(bytes), types, parts: [{ kind: ReplayKind.Failure, name: '', mark: 0 }] };
}
