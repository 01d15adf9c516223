import { Frontend, TransactionStatus } from '../protocol/codes.js';
import { NOT_READ } from '../protocol/frame-scanner.js';
import { queryMessage } from '../protocol/frontend-messages.js';
import type { Replay } from '../relay/relay.js';
import { PinReason } from '../sql/pin-reason.js';
import { pinned, sessionEffects } from '../sql/session-effects.js';
import type { SessionEffects } from '../sql/session-effects.js';
import { copyFrame, isPlainText, PreparedStatements, readParse } from './prepared.js';

/** Most settings that are replayed; a session with more is pinned. */
export const SETTINGS_MAX = 100;

/** Encodings in which a byte of a longer character can look like ASCII (documentation, "Character Set Support"). */
const UNREADABLE_ENCODINGS: ReadonlySet<string> = new Set([
  'SJIS',
  'BIG5',
  'GBK',
  'UHC',
  'GB18030',
  'JOHAB',
  'SHIFT_JIS_2004',
]);

/** Settings on which depends what a text means. */
const LEXICAL_SETTINGS = ['client_encoding', 'standard_conforming_strings'] as const;

/** What the lexer must know of the session. */
export interface TextFacts {
  readonly clientEncoding: string;
  readonly escapesInStrings: boolean;
  readonly isInTransaction: boolean;
}

/** Effects of one string of statements. A named statement can run at any time, as often as one likes, or never. */
interface NotedEffects {
  readonly effects: SessionEffects;
  readonly isNamed: boolean;
  /** Texts behind it may be read in another way. */
  readonly changesReading: boolean;
}

/** Effects of one unit that was sent and has not ended. */
interface PendingUnit {
  readonly noted: NotedEffects[];
  hasFailed: boolean;
}

/**
 * What a session has left behind on its backend: what can be replayed elsewhere, and what cannot (the pins). Pins begin when a statement
 * is sent, everything else when its unit has succeeded.
 */
export class SessionState {
  readonly prepared: PreparedStatements;
  readonly #pins = new Set<PinReason>();
  /** Pins that named statements can bring about again, as long as there are such statements. */
  #namedPins = new Set<PinReason>();
  /** The SET statements to replay, oldest first; their bytes are one character each. */
  readonly #settings = new Map<string, string>();
  /** Units sent, oldest first; the last one is still being sent when `#isUnitOpen`. */
  readonly #units: PendingUnit[] = [];
  #isUnitOpen = false;
  /** How many of the effects in `#units` change how texts are read. */
  #readingChanges = 0;

  constructor(preparedMax: number) {
    this.prepared = new PreparedStatements(preparedMax);
  }

  /** Why the session cannot change its backend, or null when it can. */
  get pinReason(): PinReason | null {
    for (const reason of this.#pins) return reason;
    return this.prepared.isOverflowing ? PinReason.TooManyPrepared : null;
  }

  get pins(): ReadonlySet<PinReason> {
    return this.#pins;
  }

  /** A unit that was sent and has not ended begins a transaction. */
  get mayBeginTransaction(): boolean {
    return this.#units.some((unit) => unit.noted.some(({ effects }) => effects.begins));
  }

  pin(reason: PinReason): void {
    this.#pins.add(reason);
  }

  /** Notes a message of the client that is about to be sent; the body is borrowed. */
  sent(type: number, buffer: Buffer, start: number, end: number, facts: () => TextFacts): void {
    switch (type) {
      case Frontend.Query:
        this.#note(end === NOT_READ ? null : [start, end - 1], buffer, facts, false);
        this.#endUnit(true);
        return;
      case Frontend.Parse:
        this.#noteParse(buffer, start, end, facts);
        return;
      case Frontend.Close: {
        const isStatement = end !== NOT_READ && buffer[start] === 0x53;
        this.prepared.closeSent(isStatement ? buffer.toString('latin1', start + 1, end - 1) : null);
        return;
      }
      case Frontend.FunctionCall:
        // Which function it is, is not looked at.
        this.#pins.add(PinReason.Procedure);
        this.#endUnit(false);
        return;
      case Frontend.Sync:
        this.#endUnit(false);
        return;
      default:
    }
  }

  /** An ErrorResponse came for the oldest unit. */
  failed(): void {
    const unit = this.#units[0];
    if (unit !== undefined) unit.hasFailed = true;
  }

  /** ReadyForQuery came for the oldest unit. */
  ended(status: TransactionStatus): void {
    this.prepared.unitEnded();
    const unit = this.#units.shift();
    if (this.#units.length === 0) this.#isUnitOpen = false;
    if (unit === undefined) return;
    const isCertain = !unit.noted.some(({ effects }) => effects.controlsTransaction);
    for (const noted of unit.noted) {
      if (noted.changesReading) this.#readingChanges -= 1;
      if (noted.isNamed) this.#applyNamed(noted.effects);
      else if (unit.hasFailed) this.#applyFailed(noted.effects);
      else this.#apply(noted, unit, status === TransactionStatus.Idle && isCertain);
    }
  }

  /** Nothing is owed any more. A Sync that a COPY swallowed has left a unit that nobody will end. */
  settle(): void {
    this.#units.length = 0;
    this.#isUnitOpen = false;
    this.#readingChanges = 0;
    this.prepared.abandon();
  }

  /** The backend is lost with everything that was under way. */
  abandon(): void {
    this.settle();
  }

  /** Messages that bring another backend into this state; null when there is nothing to say. */
  replay(): Replay | null {
    const bytes: Buffer[] = [];
    const types: number[] = [];
    for (const sql of this.#settings.values()) {
      bytes.push(queryMessage(Buffer.from(sql, 'latin1')));
      types.push(Frontend.Query);
    }
    this.prepared.replay(bytes, types);
    return bytes.length === 0 ? null : { bytes: Buffer.concat(bytes), types };
  }

  #noteParse(buffer: Buffer, start: number, end: number, facts: () => TextFacts): void {
    const parse = end === NOT_READ ? null : readParse(buffer, start, end);
    this.prepared.parseSent(parse?.name ?? '', parse === null ? null : copyFrame(buffer, start, end));
    this.#note(parse === null ? null : [parse.textStart, parse.textEnd], buffer, facts, parse?.name !== '');
  }

  /** `text` is where the SQL lies, null when it was not read. */
  #note(text: readonly [number, number] | null, buffer: Buffer, facts: () => TextFacts, isNamed: boolean): void {
    const effects = this.#effects(text, buffer, facts());
    const changesReading = this.#changesReading(effects);
    if (changesReading) this.#readingChanges += 1;
    this.#openUnit().noted.push({ effects, isNamed, changesReading });
    for (const reason of effects.pins) {
      this.#pins.add(reason);
      if (isNamed) this.#namedPins.add(reason);
    }
  }

  #effects(text: readonly [number, number] | null, buffer: Buffer, facts: TextFacts): SessionEffects {
    if (text === null) return pinned(PinReason.StatementTooLarge);
    const [start, end] = text;
    if (UNREADABLE_ENCODINGS.has(facts.clientEncoding) && !isAscii(buffer.subarray(start, end))) {
      return pinned(PinReason.ClientEncoding);
    }
    // How it will be read depends on a unit that has not been answered.
    if (this.#readingChanges > 0 && !isPlainText(buffer.subarray(start, end)))
      return pinned(PinReason.UnknownStatement);
    return sessionEffects(buffer, start, end, facts.escapesInStrings, facts.isInTransaction);
  }

  #changesReading({ setting, resets }: SessionEffects): boolean {
    return LEXICAL_SETTINGS.some((name) => {
      if (setting?.name === name) return true;
      const isSet = this.#readingChanges > 0 || this.#settings.has(name);
      return isSet && (resets === 'all' || resets.includes(name));
    });
  }

  #openUnit(): PendingUnit {
    const last = this.#units.at(-1);
    if (this.#isUnitOpen && last !== undefined) return last;
    const unit: PendingUnit = { noted: [], hasFailed: false };
    this.#units.push(unit);
    this.#isUnitOpen = true;
    return unit;
  }

  #endUnit(isSimpleQuery: boolean): void {
    this.#openUnit();
    this.#isUnitOpen = false;
    this.prepared.unitSent(isSimpleQuery);
  }

  /** DEALLOCATE is not undone by the failure of what stands behind it, and how far the unit has come is not known. */
  #applyFailed(effects: SessionEffects): void {
    if (this.prepared.has(effects.deallocates)) this.#pins.add(PinReason.PreparedInSql);
  }

  /** It was prepared, which has no effect yet; when it will run cannot be told. */
  #applyNamed(effects: SessionEffects): void {
    if (effects.setting !== null || effects.resets.length > 0) this.#pins.add(PinReason.Setting);
    if (effects.deallocates.length > 0) this.#pins.add(PinReason.PreparedInSql);
  }

  /** `isLasting`: no transaction is open, and none was rolled back, that would undo the effects. */
  #apply({ effects, changesReading }: NotedEffects, unit: PendingUnit, isLasting: boolean): void {
    if (effects.deallocates.length > 0) this.#deallocate(effects.deallocates);
    if (!isLasting) {
      if (effects.setting !== null || effects.resets.length > 0) this.#pins.add(PinReason.Setting);
      return;
    }
    for (const reason of effects.unpins) {
      const isPinnedAgain =
        this.#namedPins.has(reason) ||
        [unit, ...this.#units].some((each) => each.noted.some((other) => other.effects.pins.includes(reason)));
      if (!isPinnedAgain) this.#pins.delete(reason);
    }
    if (changesReading && !this.#isPlain(effects)) this.#pins.add(PinReason.Setting);
    if (effects.resets === 'all') this.#settings.clear();
    else for (const name of effects.resets) this.#settings.delete(name);
    if (effects.setting !== null) this.#set(effects.setting.name, effects.setting.sql);
  }

  #deallocate(names: readonly string[] | 'all'): void {
    this.prepared.forget(names);
    if (names !== 'all') return;
    // Of named statements only those are left that are on their way.
    const left = this.#units.flatMap((unit) => unit.noted.filter(({ isNamed }) => isNamed));
    this.#namedPins = new Set(left.flatMap(({ effects }) => effects.pins));
  }

  #set(name: string, sql: string): void {
    this.#settings.delete(name);
    if (this.#settings.size >= SETTINGS_MAX) this.#pins.add(PinReason.Setting);
    else this.#settings.set(name, sql);
  }

  /** Whether what is replayed means the same before and after a change of a lexical setting. */
  #isPlain(effects: SessionEffects): boolean {
    // DISCARD ALL leaves nothing to replay.
    const isAllGone = effects.resets === 'all' && effects.deallocates === 'all';
    if (isAllGone) return true;
    const settings = effects.resets === 'all' ? [] : [...this.#settings.values()];
    return settings.every((sql) => isPlainText(Buffer.from(sql, 'latin1'))) && this.prepared.isPlain();
  }
}

function isAscii(text: Uint8Array): boolean {
  return text.every((byte) => byte < 0x80);
}
