import { PinReason } from './pin-reason.js';
import { readSetting } from './setting.js';
import { NameFilter, readStatements } from './statement.js';
import type { Statement } from './statement.js';

/**
 * What a query string leaves behind in its session, told from keywords: on the safe side, and in doubt the session is pinned.
 * The lists of kinds are the ones of PostgreSQL's `DISCARD ALL`, and of what survives a transaction.
 */
export interface SessionEffects {
  /** Reasons that begin when the string is sent. */
  readonly pins: readonly PinReason[];
  /** Reasons that end when the unit has succeeded. */
  readonly unpins: readonly PinReason[];
  /** A lone `SET`: can be replayed as it is. The bytes of `sql` are one character each (latin1). */
  readonly setting: { readonly name: string; readonly sql: string } | null;
  /** Settings that are back at their start value after success; 'all' for RESET ALL and DISCARD ALL. */
  readonly resets: readonly string[] | 'all';
  /** Protocol-level statements that are gone after success; 'all' for DEALLOCATE ALL and DISCARD ALL. Names as in `sql`. */
  readonly deallocates: readonly string[] | 'all';
  /** It begins a transaction that may go on behind the unit. */
  readonly begins: boolean;
  /** It begins or ends a transaction or a savepoint: what else happens in the unit may be undone though the unit succeeds. */
  readonly controlsTransaction: boolean;
}

const nothing: SessionEffects = {
  pins: [],
  unpins: [],
  setting: null,
  resets: [],
  deallocates: [],
  begins: false,
  controlsTransaction: false,
};

export function pinned(reason: PinReason): SessionEffects {
  return { ...nothing, pins: [reason] };
}

/** First words of statements that leave nothing behind, functions and temporary objects aside. */
const harmless: ReadonlySet<string> = new Set(
  (
    'select values table with insert update delete merge explain show copy truncate lock fetch move execute alter drop grant revoke ' +
    'comment security reassign refresh reindex cluster vacuum analyze analyse checkpoint notify import'
  ).split(' '),
);

/** Functions that leave something behind. */
const functionPins: ReadonlyMap<string, PinReason> = new Map([
  ['set_config', PinReason.Setting],
  ['setseed', PinReason.Setting],
  // Of pg_trgm.
  ['set_limit', PinReason.Setting],
  ['pg_advisory_lock', PinReason.AdvisoryLock],
  ['pg_advisory_lock_shared', PinReason.AdvisoryLock],
  ['pg_try_advisory_lock', PinReason.AdvisoryLock],
  ['pg_try_advisory_lock_shared', PinReason.AdvisoryLock],
  ['currval', PinReason.SequenceState],
  ['lastval', PinReason.SequenceState],
  ['dblink_connect', PinReason.ForeignSession],
  ['dblink_connect_u', PinReason.ForeignSession],
  ['pg_replication_origin_session_setup', PinReason.ForeignSession],
  ['pg_create_physical_replication_slot', PinReason.ForeignSession],
  ['pg_create_logical_replication_slot', PinReason.ForeignSession],
  ['pg_copy_physical_replication_slot', PinReason.ForeignSession],
  ['pg_copy_logical_replication_slot', PinReason.ForeignSession],
  ['pg_backup_start', PinReason.ForeignSession],
  ['pg_start_backup', PinReason.ForeignSession],
]);
const UNLOCK_ALL = 'pg_advisory_unlock_all';

const names = new NameFilter(functionPins.keys(), new Set([...harmless, 'select']), ['pg_catalog', UNLOCK_ALL]);

/** Longest SET that is kept for replay. */
const SETTING_BYTES_MAX = 4096;

/**
 * Tells the effects of `text[start, end)`. `isInTransaction` says whether a transaction was open before it. The text of a lone SET is
 * copied; nothing else is kept.
 */
export function sessionEffects(
  text: Buffer,
  start: number,
  end: number,
  escapesInStrings: boolean,
  isInTransaction: boolean,
): SessionEffects {
  const statements = readStatements(text, start, end, escapesInStrings, names);
  if (statements === null) return nothing; // PostgreSQL refuses it: nothing runs.
  const isLone = statements.length === 1 && !isInTransaction;
  const found = new Found();
  for (const statement of statements) {
    noteAnywhere(statement, found);
    noteByFirstWord(statement, text, isLone, found);
  }
  found.settle(isInTransaction);
  return found.isEmpty ? nothing : found;
}

class Found implements SessionEffects {
  readonly pins: PinReason[] = [];
  unpins: PinReason[] = [];
  setting: { name: string; sql: string } | null = null;
  resets: string[] | 'all' = [];
  deallocates: string[] | 'all' = [];
  begins = false;
  controlsTransaction = false;

  get isEmpty(): boolean {
    return (
      !this.controlsTransaction &&
      this.pins.length === 0 &&
      this.unpins.length === 0 &&
      this.setting === null &&
      this.resets.length === 0 &&
      this.deallocates.length === 0
    );
  }

  /** A ROLLBACK, in the same string or behind it, may undo whatever the others have done. */
  settle(isInTransaction: boolean): void {
    if (!this.controlsTransaction && !isInTransaction) return;
    this.unpins = [];
    if (this.resets.length > 0) this.pins.push(PinReason.Setting);
    this.resets = [];
  }
}

function noteAnywhere(statement: Statement, found: Found): void {
  for (const name of statement.calls) found.pins.push(functionPins.get(name) ?? PinReason.UnknownStatement);
  if (statement.hasTemporaryTarget || statement.namesTemporarySchema) found.pins.push(PinReason.TemporaryObject);
  if (statement.hasEscapedName) found.pins.push(PinReason.UnknownStatement);
}

function noteByFirstWord(statement: Statement, text: Buffer, isLone: boolean, found: Found): void {
  const { lead } = statement;
  const first = lead[0] ?? '';
  switch (first) {
    case 'begin':
    case 'start':
      found.begins = true;
      found.controlsTransaction = true;
      return;
    case 'commit':
    case 'end':
    case 'rollback':
    case 'abort':
      if (lead.includes('chain') && !lead.includes('no')) found.begins = true;
      found.controlsTransaction = true;
      return;
    case 'savepoint':
    case 'release':
      found.controlsTransaction = true;
      return;
    case 'select':
      if (isUnlockAll(statement)) found.unpins.push(PinReason.AdvisoryLock);
      return;
    case 'create':
      if (makesTemporary(statement)) found.pins.push(PinReason.TemporaryObject);
      return;
    case 'declare':
      if (statement.hasWithHold) found.pins.push(PinReason.CursorWithHold);
      return;
    case 'close':
      if (lead[1] === 'all') found.unpins.push(PinReason.CursorWithHold);
      return;
    case 'listen':
      found.pins.push(PinReason.Listen);
      return;
    case 'unlisten':
      if (lead[1] === '*') found.unpins.push(PinReason.Listen);
      return;
    case 'prepare':
      // PREPARE TRANSACTION 'name'; but PREPARE transaction AS ... makes a statement of that name.
      if (lead[1] === 'transaction' && lead[2] !== 'as' && lead[2] !== '(') found.controlsTransaction = true;
      else found.pins.push(PinReason.PreparedInSql);
      return;
    case 'deallocate':
      noteDeallocate(lead, found);
      return;
    case 'load':
      found.pins.push(PinReason.LoadedLibrary);
      return;
    case 'do':
    case 'call':
      found.pins.push(PinReason.Procedure);
      return;
    case 'discard':
      noteDiscard(lead[1] ?? '', found);
      return;
    case 'set':
    case 'reset':
      noteSetting(statement, text, isLone, found);
      return;
    default:
      if (!harmless.has(first)) found.pins.push(PinReason.UnknownStatement);
  }
}

/** Exactly this and nothing else, so that it surely runs: `SELECT [pg_catalog.]pg_advisory_unlock_all()`. */
function isUnlockAll({ lead, tokenCount, isExplained }: Statement): boolean {
  const call = lead[1] === 'pg_catalog' && lead[2] === '.' ? 3 : 1;
  return (
    !isExplained &&
    tokenCount === call + 3 &&
    lead[call] === UNLOCK_ALL &&
    lead[call + 1] === '(' &&
    lead[call + 2] === ')'
  );
}

/** CREATE [OR REPLACE] [LOCAL | GLOBAL] TEMP ..., but for a table that does not outlive its transaction. */
function makesTemporary({ lead, hasOnCommitDrop }: Statement): boolean {
  let at = lead[1] === 'or' && lead[2] === 'replace' ? 3 : 1;
  if (lead[at] === 'local' || lead[at] === 'global') at += 1;
  if (lead[at] !== 'temp' && lead[at] !== 'temporary') return false;
  return !(hasOnCommitDrop && lead[at + 1] === 'table');
}

function noteDeallocate(lead: readonly string[], found: Found): void {
  const name = lead[1] === 'prepare' && lead.length > 2 ? lead[2] : lead[1];
  if (name === 'all') {
    found.deallocates = 'all';
    found.unpins.push(PinReason.PreparedInSql);
  } else if (name !== undefined && found.deallocates !== 'all') found.deallocates.push(unquoted(name));
}

function noteDiscard(what: string, found: Found): void {
  if (what === 'temp' || what === 'temporary' || what === 'all') found.unpins.push(PinReason.TemporaryObject);
  if (what === 'sequences' || what === 'all') found.unpins.push(PinReason.SequenceState);
  if (what !== 'all') return;
  found.unpins.push(
    PinReason.AdvisoryLock,
    PinReason.CursorWithHold,
    PinReason.Listen,
    PinReason.Setting,
    PinReason.SessionAuthorization,
    PinReason.PreparedInSql,
  );
  found.resets = 'all';
  found.deallocates = 'all';
}

function noteSetting(statement: Statement, text: Buffer, isLone: boolean, found: Found): void {
  const { start, end } = statement;
  const setting = readSetting(statement.lead);
  switch (setting.kind) {
    case 'transaction':
      return;
    case 'unknown':
      found.pins.push(PinReason.Setting);
      return;
    case 'role':
      // Back to the log-in role; whether the session authorization is still another one is not known.
      if (!setting.isDefault) found.pins.push(PinReason.SessionAuthorization);
      return;
    case 'authorization':
      // Its default takes the role with it (documentation, "SET SESSION AUTHORIZATION").
      (setting.isDefault ? found.unpins : found.pins).push(PinReason.SessionAuthorization);
      return;
    case 'reset_all':
      found.unpins.push(PinReason.Setting);
      found.resets = 'all';
      return;
    case 'reset':
      if (isLone) found.resets = [setting.name];
      else found.pins.push(PinReason.Setting);
      return;
    case 'set':
    default: {
      if (!isLone || end - start > SETTING_BYTES_MAX) {
        found.pins.push(PinReason.Setting);
        return;
      }
      const sql = text.toString('latin1', start, end);
      // What is created from then on without a schema may be temporary, also where the path is one string.
      if (setting.name === 'search_path' && !statement.namesTemporarySchema && /pg_temp/i.test(sql)) {
        found.pins.push(PinReason.TemporaryObject);
      }
      found.setting = { name: setting.name, sql };
    }
  }
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1) : name;
}
