import { lex, TokenKind } from './lexer.js';
import { PinReason } from './pin-reason.js';

/**
 * What a query string leaves behind in its session, told from keywords: on the safe side, and in doubt the session is pinned.
 * The lists of kinds are the ones of PostgreSQL's `DISCARD ALL`, and of what survives a transaction.
 */
export interface SessionEffects {
  /** Reasons that begin when the unit has run. */
  readonly pins: readonly PinReason[];
  /** Reasons that end when the unit has succeeded. */
  readonly unpins: readonly PinReason[];
  /** A lone `SET`: can be replayed as it is. */
  readonly setting: { readonly name: string; readonly sql: string } | null;
  /** Settings that are back at their start value after success; 'all' for RESET ALL and DISCARD ALL. */
  readonly resets: readonly string[] | 'all';
  /** Protocol-level statements that are gone after success; 'all' for DEALLOCATE ALL and DISCARD ALL. */
  readonly deallocates: readonly string[] | 'all';
  /** It begins a transaction that may go on behind the unit. */
  readonly begins: boolean;
}

const nothing: SessionEffects = { pins: [], unpins: [], setting: null, resets: [], deallocates: [], begins: false };

export function pinned(reason: PinReason): SessionEffects {
  return { ...nothing, pins: [reason] };
}

/** First words of statements that leave nothing behind, whatever functions aside. */
const harmless: ReadonlySet<string> = new Set([
  'select',
  'values',
  'table',
  'with',
  'insert',
  'update',
  'delete',
  'merge',
  'explain',
  'show',
  'copy',
  'truncate',
  'lock',
  'begin',
  'start',
  'commit',
  'end',
  'rollback',
  'abort',
  'savepoint',
  'release',
  'fetch',
  'move',
  'execute',
  'unlisten',
  'close',
  'create',
  'alter',
  'drop',
  'grant',
  'revoke',
  'comment',
  'security',
  'reassign',
  'refresh',
  'reindex',
  'cluster',
  'vacuum',
  'analyze',
  'analyse',
  'checkpoint',
  'notify',
  'import',
  'declare',
  'set',
  'reset',
  'discard',
  'deallocate',
  'prepare',
  'listen',
]);

/** Names of functions that leave something behind. */
const functionPins: ReadonlyMap<string, PinReason> = new Map([
  ['set_config', PinReason.Setting],
  ['setseed', PinReason.Setting],
  ['pg_advisory_lock', PinReason.AdvisoryLock],
  ['pg_advisory_lock_shared', PinReason.AdvisoryLock],
  ['pg_try_advisory_lock', PinReason.AdvisoryLock],
  ['pg_try_advisory_lock_shared', PinReason.AdvisoryLock],
  ['currval', PinReason.SequenceState],
  ['lastval', PinReason.SequenceState],
  ['pg_temp', PinReason.TemporaryObject],
  ['dblink_connect', PinReason.ForeignSession],
  ['dblink_connect_u', PinReason.ForeignSession],
  ['pg_replication_origin_session_setup', PinReason.ForeignSession],
]);

/** How many leading words of a statement are looked at in order. */
const LEADING_WORDS_MAX = 8;

interface Statement {
  start: number;
  end: number;
  /** Leading tokens in lower case; symbols as they are, quoted names and strings as written. */
  readonly lead: string[];
  readonly functions: Set<string>;
  hasTempTarget: boolean;
  hasHold: boolean;
}

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
  const statements = split(text, start, end, escapesInStrings);
  if (statements === null) return nothing; // PostgreSQL refuses it: nothing runs.
  const isLone = statements.length === 1 && !isInTransaction;
  const found = new Found();
  for (const statement of statements) note(statement, text, isLone, found);
  return found.isEmpty ? nothing : found;
}

class Found implements SessionEffects {
  readonly pins: PinReason[] = [];
  readonly unpins: PinReason[] = [];
  setting: { name: string; sql: string } | null = null;
  resets: string[] | 'all' = [];
  deallocates: string[] | 'all' = [];
  begins = false;

  get isEmpty(): boolean {
    return (
      !this.begins &&
      this.pins.length === 0 &&
      this.unpins.length === 0 &&
      this.setting === null &&
      this.resets.length === 0 &&
      this.deallocates.length === 0
    );
  }
}

function split(text: Buffer, start: number, end: number, escapesInStrings: boolean): Statement[] | null {
  const statements: Statement[] = [];
  let open: Statement | null = null;
  let previous = '';
  const isComplete = lex(text, start, end, escapesInStrings, (kind, from, to) => {
    if (kind === TokenKind.Semicolon) {
      open = null;
      previous = '';
      return;
    }
    const statement: Statement = (open ??= {
      start: from,
      end: to,
      lead: [],
      functions: new Set(),
      hasTempTarget: false,
      hasHold: false,
    });
    if (statement.lead.length === 0) statements.push(statement);
    statement.end = to;
    const isWord = kind === TokenKind.Word;
    const wantsText = isWord || statement.lead.length < LEADING_WORDS_MAX || kind === TokenKind.QuotedName;
    const word = wantsText ? tokenText(text, kind, from, to) : '';
    if (statement.lead.length < LEADING_WORDS_MAX) statement.lead.push(word);
    if (functionPins.has(word)) statement.functions.add(word);
    if (word === 'pg_advisory_unlock_all') statement.functions.add(word);
    if ((word === 'temp' || word === 'temporary') && previous === 'into') statement.hasTempTarget = true;
    if (word === 'hold' && previous === 'with') statement.hasHold = true;
    if (isWord || word !== '') previous = word;
  });
  return isComplete ? statements : null;
}

function tokenText(text: Buffer, kind: TokenKind, from: number, to: number): string {
  if (kind === TokenKind.Word) return text.toString('latin1', from, to).toLowerCase();
  if (kind === TokenKind.QuotedName) return text.toString('utf8', from + 1, to - 1).replaceAll('""', '"');
  return text.toString('latin1', from, Math.min(to, from + 64));
}

function note(statement: Statement, text: Buffer, isLone: boolean, found: Found): void {
  const lead = statement.lead.filter((word) => word !== '(');
  const first = lead[0] ?? '';
  for (const name of statement.functions) {
    const pin = functionPins.get(name);
    if (pin !== undefined) found.pins.push(pin);
    else found.unpins.push(PinReason.AdvisoryLock);
  }
  if (statement.hasTempTarget) found.pins.push(PinReason.TemporaryObject);
  switch (first) {
    case 'begin':
    case 'start':
      found.begins = true;
      return;
    case 'create':
      if (lead.slice(1, 5).some((word) => word === 'temp' || word === 'temporary'))
        found.pins.push(PinReason.TemporaryObject);
      return;
    case 'declare':
      if (statement.hasHold) found.pins.push(PinReason.CursorWithHold);
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
      if (lead[1] !== 'transaction') found.pins.push(PinReason.PreparedInSql);
      return;
    case 'deallocate': {
      const name = lead[1] === 'prepare' ? lead[2] : lead[1];
      if (name === 'all' || found.deallocates === 'all') found.deallocates = 'all';
      else if (name !== undefined) found.deallocates.push(name);
      if (name === 'all') found.unpins.push(PinReason.PreparedInSql);
      return;
    }
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
    case 'reset':
      noteReset(lead, isLone, found);
      return;
    case 'set':
      noteSet(lead, text.toString('utf8', statement.start, statement.end), isLone, found);
      return;
    default:
      if (!harmless.has(first)) found.pins.push(PinReason.UnknownStatement);
  }
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
    PinReason.TooManyPrepared,
  );
  found.resets = 'all';
  found.deallocates = 'all';
}

function noteReset(lead: readonly string[], isLone: boolean, found: Found): void {
  const name = settingName(lead, 1);
  if (name === 'role' || name === 'session authorization') {
    // Whether the other of the two is still changed is not tracked, so the pin stays.
    return;
  }
  if (name === 'all') {
    found.unpins.push(PinReason.Setting);
    found.resets = 'all';
  } else if (isLone && found.resets !== 'all') found.resets.push(name);
  else found.pins.push(PinReason.Setting);
}

function noteSet(lead: readonly string[], sql: string, isLone: boolean, found: Found): void {
  const scope = lead[1];
  if (scope === 'local' || scope === 'transaction' || scope === 'constraints') return;
  const name = settingName(lead, scope === 'session' ? 2 : 1);
  if (name === 'role' || name === 'session authorization') found.pins.push(PinReason.SessionAuthorization);
  else if (isLone) found.setting = { name, sql };
  else found.pins.push(PinReason.Setting);
}

/** The name of the setting at `lead[at]`, with the words that SQL has for some of them. */
function settingName(lead: readonly string[], at: number): string {
  const first = lead[at] ?? '';
  const second = lead[at + 1];
  switch (first) {
    case 'time':
      return second === 'zone' ? 'timezone' : first;
    case 'names':
      return 'client_encoding';
    case 'schema':
      return 'search_path';
    case 'authorization':
      return 'session authorization';
    case 'session':
      return second === 'authorization' ? 'session authorization' : `session ${second ?? ''}`;
    case 'characteristics':
      return 'session characteristics';
    case 'transaction':
      return 'transaction isolation';
    default: {
      let name = first.toLowerCase();
      for (let i = at + 1; lead[i] === '.' && lead[i + 1] !== undefined; i += 2)
        name += `.${(lead[i + 1] ?? '').toLowerCase()}`;
      return name;
    }
  }
}
