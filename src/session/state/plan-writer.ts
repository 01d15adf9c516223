import { serialize } from 'pg-protocol';
import { Frontend } from '../../protocol/codes.js';
import { queryMessage } from '../../protocol/frontend-messages.js';
import type { TextFacts } from '../../sql/analysis.js';
import { isPlain } from './kept.js';
import type { Circumstances, Kept } from './kept.js';
import { closeMessage, statementMessages, tidyUpMessages } from './own-messages.js';
import type { Messages } from './own-messages.js';
import { isPlainStatement } from './prepared.js';
import type { PreparedEntry } from './prepared.js';
import { Circumstance } from './remains.js';
import { ReplayKind } from './replay-plan.js';
import type { ReplayPart, SessionReplay } from './replay-plan.js';
import type { Standing } from './standing.js';

/** How it is on the backend before the first message. */
export interface Beginning {
  readonly standing: Standing;
  /** How it reads texts; null: as after log-in, or as nobody has looked. */
  readonly reading: TextFacts | null;
}

/**
 * Writes a replay, message by message, and keeps book of what it has made of the backend. `isQuiet`: in messages that leave the client's
 * unnamed statement alone, and so that each failure of what a statement was prepared under may be overlooked.
 */
export class PlanWriter {
  readonly #bytes: Buffer[] = [];
  readonly #types: number[] = [];
  readonly #parts: ReplayPart[] = [];
  readonly #from: Standing;
  readonly #isQuiet: boolean;
  /** How it is at this point. */
  #authorization: Kept | null;
  #role: Kept | null;
  #searchPath: Kept | null;
  #reading: TextFacts | null;
  #isReadingChanged = false;
  #hasRun = false;

  constructor({ standing, reading }: Beginning, isQuiet: boolean) {
    this.#from = standing;
    this.#isQuiet = isQuiet;
    this.#authorization = standing.authorization;
    this.#role = standing.role;
    this.#searchPath = standing.searchPath;
    this.#reading = reading;
  }

  /** Null: there is nothing to say. */
  replay(): SessionReplay | null {
    if (this.#bytes.length === 0) return null;
    return { bytes: Buffer.concat(this.#bytes), types: this.#types, parts: this.#parts };
  }

  /** A setting or a channel, under the circumstances in which it was set. */
  add(kind: ReplayKind, name: string, kept: Kept): void {
    this.#enter(kept.under);
    this.#run(kind, name, kept);
  }

  /** The backend has a setting that is to be as after log-in: with the rights with which it was set. */
  addReset(name: string, { under }: Kept): void {
    this.#enter(under);
    this.#runNamed(ReplayKind.Setting, 'RESET', name, name.split('.'), under);
  }

  /** Settings that mean the same anywhere: those that are to be as after log-in, and those that are to be set. */
  addStart(resets: readonly string[], sets: readonly Kept[]): void {
    if (resets.length === 0 && sets.length === 0) return;
    const texts = [...resets.map((name) => `RESET ${name}`), ...sets.map(({ sql }) => sql)];
    if (this.#isQuiet) for (const text of texts) this.query(ReplayKind.Start, '', text);
    else this.query(ReplayKind.Start, '', texts.join('; '));
  }

  addTrace(name: string): void {
    this.query(ReplayKind.Trace, name, `RESET ${quotedParts(name.split('.'))}`);
  }

  addUnlisten(channel: string, { under }: Kept): void {
    this.#runNamed(ReplayKind.Unlisten, 'UNLISTEN', channel, [channel], under);
  }

  /** `isReplaced`: the backend may have another one of that name. */
  addStatement({ statement, under, mark }: PreparedEntry, isReplaced: boolean): void {
    const { name, frame, sql } = statement;
    this.#enter(under);
    if (!isPlainStatement(statement)) this.#readAs(under.reading);
    if (frame !== null) this.addParse(name, frame, mark, isReplaced);
    else if (sql !== null) {
      if (isReplaced) this.#addClose(name);
      this.query(ReplayKind.Prepare, name, sql, mark);
    }
  }

  /** With a Sync of its own, so that one that fails does not take the others with it. */
  addParse(name: string, frame: Buffer, mark: number, isReplaced: boolean): void {
    if (isReplaced) this.#addClose(name);
    this.#bytes.push(frame, serialize.sync());
    this.#types.push(Frontend.Parse, Frontend.Sync);
    this.#parts.push({ kind: ReplayKind.Parse, name, mark });
  }

  /** Leaves the backend as it is to be. */
  finish({ authorization, role, searchPath, encoding, standardStrings }: Standing): void {
    this.#become(authorization, role, ReplayKind.Setting);
    this.#searchIn(searchPath, ReplayKind.Setting);
    this.#restore(Circumstance.Encoding, this.#from.encoding, encoding);
    this.#restore(Circumstance.StandardStrings, this.#from.standardStrings, standardStrings);
  }

  /** Takes away what quiet messages have left. */
  tidyUp(): void {
    if (this.#hasRun) this.#push(tidyUpMessages(), { kind: ReplayKind.Close, name: '', mark: 0 });
  }

  query(kind: ReplayKind, name: string, sql: string, mark = 0): void {
    const part = { kind, name, mark };
    if (this.#isQuiet) {
      this.#hasRun = true;
      this.#push(statementMessages(sql), part);
    } else this.#push({ bytes: [queryMessage(Buffer.from(sql, 'latin1'))], types: [Frontend.Query] }, part);
  }

  #push({ bytes, types }: Messages, part: ReplayPart): void {
    this.#bytes.push(...bytes);
    this.#types.push(...types);
    this.#parts.push(part);
  }

  #addClose(name: string): void {
    this.#bytes.push(closeMessage(name));
    this.#types.push(Frontend.Close);
  }

  #enter({ authorization, role, searchPath }: Circumstances): void {
    const kind = this.#isQuiet ? ReplayKind.Circumstance : ReplayKind.Setting;
    this.#become(authorization, role, kind);
    this.#searchIn(searchPath, kind);
  }

  #become(authorization: Kept | null, role: Kept | null, kind: ReplayKind): void {
    if (this.#authorization !== authorization) {
      this.#switch(Circumstance.Authorization, authorization, kind);
      this.#authorization = authorization;
      // Another session user begins without a role (documentation, "SET SESSION AUTHORIZATION").
      this.#role = null;
    }
    if (this.#role === role) return;
    this.#switch(Circumstance.Role, role, kind);
    this.#role = role;
  }

  #searchIn(searchPath: Kept | null, kind: ReplayKind): void {
    if (this.#searchPath === searchPath) return;
    this.#switch(Circumstance.SearchPath, searchPath, kind);
    this.#searchPath = searchPath;
  }

  #restore(name: string, from: Kept | null, to: Kept | null): void {
    if (from === to && !this.#isReadingChanged) return;
    this.query(ReplayKind.Setting, name, to === null ? `RESET ${name}` : to.sql);
  }

  #switch(name: string, kept: Kept | null, kind: ReplayKind): void {
    if (kept === null) this.query(kind, name, `RESET ${name}`);
    else this.#run(kind, name, kept);
  }

  #run(kind: ReplayKind, name: string, { sql, under }: Kept): void {
    if (!isPlain(sql)) this.#readAs(under.reading);
    this.query(kind, name, sql);
  }

  #runNamed(kind: ReplayKind, command: string, name: string, parts: readonly string[], under: Circumstances): void {
    if (!isPlain(name)) this.#readAs(under.reading);
    this.query(kind, name, `${command} ${quotedParts(parts)}`);
  }

  #readAs(reading: TextFacts): void {
    const { clientEncoding, escapesInStrings } = reading;
    const kind = this.#isQuiet ? ReplayKind.Circumstance : ReplayKind.Setting;
    if (this.#reading?.clientEncoding !== clientEncoding && clientEncoding !== '') {
      this.query(kind, Circumstance.Encoding, `SET client_encoding TO '${clientEncoding}'`);
      this.#isReadingChanged = true;
    }
    if (this.#reading?.escapesInStrings !== escapesInStrings) {
      const value = escapesInStrings ? 'off' : 'on';
      this.query(kind, Circumstance.StandardStrings, `SET standard_conforming_strings TO ${value}`);
      this.#isReadingChanged = true;
    }
    this.#reading = reading;
  }
}

function quotedParts(parts: readonly string[]): string {
  return parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
}
