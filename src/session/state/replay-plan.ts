import { serialize } from 'pg-protocol';
import { Frontend } from '../../protocol/codes.js';
import { queryMessage } from '../../protocol/frontend-messages.js';
import type { Replay } from '../../relay/relay.js';
import type { TextFacts } from '../../sql/analysis.js';
import { isPlain, isPlainText, quotedName } from './kept.js';
import type { Circumstances, Kept } from './kept.js';
import type { PreparedEntry } from './prepared.js';
import { Circumstance, isCircumstance } from './remains.js';
import type { Remains } from './remains.js';

/** What one part of a replay brings back. */
export const ReplayKind = {
  /** A setting, `role` and `session_authorization` among them. */
  Setting: 'setting',
  /** A Parse: when it fails, the client will miss the statement when it uses it. */
  Parse: 'parse',
  /** PREPARE in SQL: likewise. */
  Prepare: 'prepare',
  Listen: 'listen',
  /** BEGIN. */
  Begin: 'begin',
  /** That a setting of a made-up name exists though it has no value any more; nobody misses it. */
  Trace: 'trace',
} as const;
export type ReplayKind = (typeof ReplayKind)[keyof typeof ReplayKind];

export interface ReplayPart {
  readonly kind: ReplayKind;
  /** Of the setting, statement or channel; one character for each byte. */
  readonly name: string;
}

/** Without it the session would not be itself: it ends when this fails. Of all else the client hears when it needs it. */
export function isIndispensable({ kind }: ReplayPart): boolean {
  return kind !== ReplayKind.Parse && kind !== ReplayKind.Prepare && kind !== ReplayKind.Trace;
}

/** Messages that bring another backend into a session's state. */
export interface SessionReplay extends Replay {
  /** What each of them is for that is answered with a ReadyForQuery, in order. */
  readonly parts: readonly ReplayPart[];
}

const HEADER_BYTES = 5;
/** Without its name: header, kind, and the byte behind the name. */
const CLOSE_BYTES = HEADER_BYTES + 2;

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

/** Everything that is to be replayed. */
export interface ReplayMatter {
  readonly remains: Remains;
  readonly madeUp: ReadonlySet<string>;
  readonly prepared: Iterable<PreparedEntry>;
  /** A transaction is to be open in the end. */
  readonly mustBegin: boolean;
}

/**
 * Plans the replay: settings in the order in which they were last set, statements, channels, each under the circumstances in which it was
 * written, and those of the session itself in the end. Null when there is nothing to say.
 */
export function planReplay({ remains, madeUp, prepared, mustBegin }: ReplayMatter): SessionReplay | null {
  const plan = new Plan();
  const { settings } = remains;
  for (const [name, kept] of settings) {
    if (!isCircumstance(name) && !LATE.has(name)) plan.add(ReplayKind.Setting, name, kept);
  }
  for (const name of madeUp) if (!settings.has(name)) plan.addTrace(name);
  let unnamed: PreparedEntry | null = null;
  for (const entry of prepared) {
    if (entry.statement.name === '') unnamed = entry;
    else plan.addStatement(entry);
  }
  for (const [name, kept] of remains.channels) plan.add(ReplayKind.Listen, name, kept);
  for (const [name, kept] of settings) if (LATE.has(name)) plan.add(ReplayKind.Setting, name, kept);
  plan.finish(settings);
  if (mustBegin) plan.addBegin();
  // A simple Query would destroy it.
  if (unnamed?.statement.frame) plan.addParse('', unnamed.statement.frame);
  return plan.replay();
}

/** Plans how a statement is prepared once more where it is prepared already; null when it was not kept. */
export function planAgain({ statement }: PreparedEntry): SessionReplay | null {
  const { name, frame, sql } = statement;
  if (frame !== null) {
    return {
      bytes: Buffer.concat([closeMessage(name), frame, serialize.sync()]),
      types: [Frontend.Close, Frontend.Parse, Frontend.Sync],
      parts: [{ kind: ReplayKind.Parse, name }],
    };
  }
  if (sql === null) return null;
  const deallocate = Buffer.from(`DEALLOCATE ${quotedName(name)}`, 'latin1');
  return {
    bytes: Buffer.concat([queryMessage(deallocate), queryMessage(Buffer.from(sql, 'latin1'))]),
    types: [Frontend.Query, Frontend.Query],
    parts: [
      { kind: ReplayKind.Trace, name },
      { kind: ReplayKind.Prepare, name },
    ],
  };
}

/** Close of a statement. */
function closeMessage(name: string): Buffer {
  const out = Buffer.alloc(CLOSE_BYTES + name.length);
  out.writeUInt8(Frontend.Close, 0);
  out.writeInt32BE(out.length - 1, 1);
  out.write(`S${name}\0`, HEADER_BYTES, 'latin1');
  return out;
}

class Plan {
  readonly #bytes: Buffer[] = [];
  readonly #types: number[] = [];
  readonly #parts: ReplayPart[] = [];
  /** How it is on the new backend at this point; null as after log-in. */
  #authorization: Kept | null = null;
  #role: Kept | null = null;
  #searchPath: Kept | null = null;
  #reading: TextFacts | null = null;

  replay(): SessionReplay | null {
    if (this.#bytes.length === 0) return null;
    return { bytes: Buffer.concat(this.#bytes), types: this.#types, parts: this.#parts };
  }

  add(kind: ReplayKind, name: string, kept: Kept): void {
    this.#enter(kept.under);
    this.#run(kind, name, kept);
  }

  addTrace(name: string): void {
    const parts = name.split('.').map((part) => `"${part.replaceAll('"', '""')}"`);
    this.#query(ReplayKind.Trace, name, `RESET ${parts.join('.')}`);
  }

  addStatement({ statement, under }: PreparedEntry): void {
    const { name, frame, sql } = statement;
    this.#enter(under);
    if (frame !== null) {
      if (!isPlainText(frame.subarray(frame.indexOf(0) + 1))) this.#readAs(under.reading);
      this.addParse(name, frame);
    } else if (sql !== null) this.#run(ReplayKind.Prepare, name, { sql, under });
  }

  /** With a Sync of its own, so that one that fails does not take the others with it. */
  addParse(name: string, frame: Buffer): void {
    this.#bytes.push(frame, serialize.sync());
    this.#types.push(Frontend.Parse, Frontend.Sync);
    this.#parts.push({ kind: ReplayKind.Parse, name });
  }

  addBegin(): void {
    this.#query(ReplayKind.Begin, '', 'BEGIN');
  }

  /** Leaves the backend as the session is now. */
  finish(settings: Remains['settings']): void {
    const find = (name: string): Kept | null => settings.get(name) ?? null;
    this.#become(find(Circumstance.Authorization), find(Circumstance.Role));
    this.#searchIn(find(Circumstance.SearchPath));
    for (const name of [Circumstance.Encoding, Circumstance.StandardStrings]) {
      const kept = find(name);
      if (kept !== null) this.#query(ReplayKind.Setting, name, kept.sql);
      else if (this.#reading !== null) this.#query(ReplayKind.Setting, name, `RESET ${name}`);
    }
  }

  #enter({ authorization, role, searchPath }: Circumstances): void {
    this.#become(authorization, role);
    this.#searchIn(searchPath);
  }

  #become(authorization: Kept | null, role: Kept | null): void {
    if (this.#authorization !== authorization) {
      this.#switch(Circumstance.Authorization, authorization);
      this.#authorization = authorization;
      this.#role = null;
    }
    if (this.#role === role) return;
    this.#switch(Circumstance.Role, role);
    this.#role = role;
  }

  #searchIn(searchPath: Kept | null): void {
    if (this.#searchPath === searchPath) return;
    this.#switch(Circumstance.SearchPath, searchPath);
    this.#searchPath = searchPath;
  }

  #switch(name: string, kept: Kept | null): void {
    if (kept === null) this.#query(ReplayKind.Setting, name, `RESET ${name}`);
    else this.#run(ReplayKind.Setting, name, kept);
  }

  #run(kind: ReplayKind, name: string, { sql, under }: Kept): void {
    if (!isPlain(sql)) this.#readAs(under.reading);
    this.#query(kind, name, sql);
  }

  #readAs(reading: TextFacts): void {
    const { clientEncoding, escapesInStrings } = reading;
    if (this.#reading?.clientEncoding !== clientEncoding && clientEncoding !== '') {
      this.#query(ReplayKind.Setting, Circumstance.Encoding, `SET client_encoding TO '${clientEncoding}'`);
    }
    if (this.#reading?.escapesInStrings !== escapesInStrings) {
      const value = escapesInStrings ? 'off' : 'on';
      this.#query(ReplayKind.Setting, Circumstance.StandardStrings, `SET standard_conforming_strings TO ${value}`);
    }
    this.#reading = reading;
  }

  #query(kind: ReplayKind, name: string, sql: string): void {
    this.#bytes.push(queryMessage(Buffer.from(sql, 'latin1')));
    this.#types.push(Frontend.Query);
    this.#parts.push({ kind, name });
  }
}
