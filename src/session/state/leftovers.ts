import type { Effect, TextFacts } from '../../sql/analysis.js';
import { PinReason } from '../../sql/pin-reason.js';
import type { Clock } from '../../util/clock.js';
import { OwnIdentities } from './identities.js';
import type { Identities } from './identities.js';
import { isPlain, isSameReading } from './kept.js';
import type { Circumstances, Kept } from './kept.js';
import { hasPin, isInspectable, isTransactional, isUnread, noPins, without, withoutPin, withPin } from './pin.js';
import type { Pin, Pins } from './pin.js';
import {
  Circumstance,
  noRemains,
  withChannel,
  withLocal,
  withoutChannel,
  withoutLocals,
  withoutSetting,
  withoutSettings,
  withPins,
  withSetting,
} from './remains.js';
import type { Remains } from './remains.js';
import { forSession, isHeededLocally } from './set-local.js';
import { StartSettings } from './start-settings.js';
import { isProvable } from './suspects.js';

/** Most settings that are replayed; a session with more is pinned. */
export const SETTINGS_MAX = 100;
/** Longest statement that is kept to set a setting. */
export const SETTING_BYTES_MAX = 16 * 1024;
/** `SET datestyle` changes one half of the setting and leaves the other (documentation, "Date/Time Output"): so many are kept. */
const DATESTYLE = 'datestyle';
const DATESTYLES_MAX = 4;
const none: readonly Pin[] = [];

/** What DISCARD ALL takes away besides settings, channels and prepared statements (documentation, "DISCARD"). */
const DISCARDED: ReadonlySet<PinReason> = new Set([
  PinReason.TemporaryObject,
  PinReason.CursorWithHold,
  PinReason.Setting,
  PinReason.AdvisoryLock,
  PinReason.SequenceState,
  PinReason.PreparedInSql,
]);

interface Savepoint {
  readonly name: string;
  readonly remains: Remains;
}

/**
 * What statements leave behind in a session, prepared statements aside: settings, channels and pins. Follows transactions and savepoints
 * as the node does.
 */
export class Leftovers {
  readonly #clock: Clock;
  readonly #identities: Identities;
  /** As of the last commit. */
  #base: Remains = noRemains;
  #current: Remains = noRemains;
  #savepoints: Savepoint[] = [];
  /** Pins that no rollback undoes. */
  #lasting: Pins = noPins;
  /** The same, before the unit that is under way. */
  #lastingBefore: Pins = noPins;
  /** Settings with made-up names exist from their first mention, whatever becomes of the transaction. */
  readonly #madeUp = new Set<string>();
  #circumstances: Circumstances | null = null;
  #circumstancesOf: Remains = noRemains;
  #doubts = 0;
  #areSettingsInDoubt = false;
  /** Something unread has run, and the node has not been asked since what it has left. */
  #isTainted = false;
  /** DISCARD ALL was the last of what only the node can tell the end of. */
  #isDiscarded = false;
  readonly #start: StartSettings;

  constructor(clock: Clock, identities: Identities = new OwnIdentities(), start = new StartSettings(new Map())) {
    this.#clock = clock;
    this.#identities = identities;
    this.#start = start;
    this.#current = start.remains;
    this.#base = this.#current;
  }

  get nowMs(): number {
    return this.#clock.nowMs();
  }

  get remains(): Remains {
    return this.#current;
  }

  get lasting(): Pins {
    return this.#lasting;
  }

  get madeUp(): ReadonlySet<string> {
    return this.#madeUp;
  }

  /** Grows whenever something happens that only the node can tell the end of. */
  get doubts(): number {
    return this.#doubts;
  }

  /** What DISCARD ALL would not take away may have been left by something that nobody has read. */
  get isTainted(): boolean {
    return this.#isTainted;
  }

  /** All that can be in doubt is whether made-up names of settings are left. */
  get isDiscarded(): boolean {
    return this.#isDiscarded;
  }

  /** A setting may have been changed without a word. */
  get areSettingsInDoubt(): boolean {
    return this.#areSettingsInDoubt;
  }

  /** There are settings that the session goes back to when it resets them, and its backends do not. */
  get hasStart(): boolean {
    return !this.#start.isEmpty;
  }

  /** The session has reset settings that it goes back to, and its backend does not know of them. */
  get hasLostStart(): boolean {
    return this.#start.areLost;
  }

  /** The session has reset this setting, and goes back to what it was at the start with the next unit. */
  hasLost(name: string): boolean {
    return this.#start.areLost && this.#start.has(name) && this.setting(name) === null;
  }

  /** Has the session go back to what it has reset; gives what its backend lacks if a transaction is open there. */
  restoreStart(isInTransaction: boolean): readonly Kept[] {
    const { remains, lost } = this.#start.restore(this.#current);
    this.#current = remains;
    if (!isInTransaction) this.#base = remains;
    return lost;
  }

  /** Asked several times for each unit; nearly always there is none. */
  get pins(): readonly Pin[] {
    const { pins } = this.#current;
    return this.#lasting.size + pins.size === 0 ? none : [...this.#lasting.values(), ...pins.values()];
  }

  /** Each of the pins may be lifted by asking the node. */
  get isProvable(): boolean {
    return this.pins.every(isProvable);
  }

  /** The open transaction has changed how texts are read. */
  get isReadingTransient(): boolean {
    const [now, then] = [this.#current, this.#base];
    if (now === then) return false;
    return [Circumstance.Encoding, Circumstance.StandardStrings].some(
      (name) => now.locals.has(name) || now.settings.get(name) !== then.settings.get(name),
    );
  }

  /** A setting as it is now; null: as after log-in. */
  setting(name: string): Kept | null {
    const { settings, locals } = this.#current;
    return locals.get(name) ?? settings.get(name) ?? null;
  }

  /** Those that hold now, for a text that was read as the facts say. */
  circumstances(facts: TextFacts): Circumstances {
    const cached = this.#circumstances;
    if (cached !== null && this.#circumstancesOf === this.#current && isSameReading(cached.reading, facts))
      return cached;
    const fresh: Circumstances = {
      reading: facts,
      authorization: this.setting(Circumstance.Authorization),
      role: this.setting(Circumstance.Role),
      searchPath: this.setting(Circumstance.SearchPath),
    };
    this.#circumstances = fresh;
    this.#circumstancesOf = this.#current;
    return fresh;
  }

  pin(reason: PinReason, name: string | null = null): void {
    const nowMs = this.#clock.nowMs();
    if (isTransactional(reason)) {
      this.#current = withPins(this.#current, withPin(this.#current.pins, reason, name, nowMs));
    } else this.#lasting = withPin(this.#lasting, reason, name, nowMs);
    // Temporary objects are pinned where a name might be that of one; cursors are only where they are.
    if (reason === PinReason.CursorWithHold || !isInspectable(reason)) return;
    this.#doubts += 1;
    this.#isDiscarded = false;
    if (isUnread(reason)) this.#isTainted = true;
    if (reason === PinReason.Setting || isUnread(reason)) this.#areSettingsInDoubt = true;
  }

  unpin(reason: PinReason, name: string | null): void {
    if (!isTransactional(reason)) {
      this.#lasting = withoutPin(this.#lasting, reason, name);
      return;
    }
    this.#current = withPins(this.#current, withoutPin(this.#current.pins, reason, name));
    // Names may have changed meanwhile, and more may be gone than was named.
    if (reason === PinReason.TemporaryObject && name !== null) this.#doubts += 1;
  }

  /** A setting was named; one with a dot exists from then on. */
  noteName(name: string): void {
    if (name.includes('.') && this.#madeUp.size < SETTINGS_MAX) this.#madeUp.add(name);
  }

  /** Something was given back of which others may be left. */
  doubt(): void {
    this.#doubts += 1;
  }

  /** A statement that is no transaction control, and concerns no prepared statement, has ended well. */
  apply(effect: Effect, facts: TextFacts): void {
    switch (effect.kind) {
      case 'set':
        this.#applySet(effect, facts);
        return;
      case 'reset':
        this.noteName(effect.name);
        this.#start.lose();
        if (!effect.isLocal) this.#current = withoutSetting(this.#current, effect.name);
        else if (isHeededLocally(effect.name)) {
          this.#current = withLocal(this.#current, effect.name, this.#kept(`RESET ${effect.name}`, facts, null));
        }
        return;
      case 'reset_all':
        this.#start.lose();
        this.#current = withoutSettings(this.#current);
        return;
      case 'listen': {
        this.#noteChannel(effect.channel, facts);
        const sql = `LISTEN "${effect.channel.replaceAll('"', '""')}"`;
        this.#current = withChannel(this.#current, effect.channel, this.#kept(sql, facts, null));
        return;
      }
      case 'unlisten':
        if (effect.channel !== null) this.#noteChannel(effect.channel, facts);
        this.#current = withoutChannel(this.#current, effect.channel);
        return;
      case 'close_cursor':
        this.#closeCursor(effect.name);
        return;
      case 'discard':
        this.#discard(effect.what);
        return;
      case 'pin':
        this.pin(effect.reason, effect.name);
        return;
      case 'unpin':
        this.unpin(effect.reason, effect.name);
        return;
      default:
    }
  }

  // ---- transactions

  /** Everything up to now lasts. */
  commit(): void {
    if (this.#savepoints.length > 0) this.#savepoints = [];
    if (this.#current.locals.size > 0) this.#start.lose();
    this.#current = withoutLocals(this.#current);
    this.#base = this.#current;
  }

  /** Everything since the last commit is undone, but for what no rollback undoes. */
  rollback(): void {
    this.#start.lose();
    if (this.#savepoints.length > 0) this.#savepoints = [];
    this.#current = this.#base;
  }

  savepoint(name: string): void {
    this.#savepoints.push({ name, remains: this.#current });
  }

  release(name: string): void {
    const at = this.#savepoints.findLastIndex((savepoint) => savepoint.name === name);
    if (at >= 0) this.#savepoints.length = at;
  }

  rollbackTo(name: string): void {
    const at = this.#savepoints.findLastIndex((savepoint) => savepoint.name === name);
    const savepoint = this.#savepoints[at];
    if (savepoint === undefined) return;
    this.#start.lose();
    this.#savepoints.length = at + 1;
    this.#current = savepoint.remains;
  }

  unitEnded(): void {
    this.#lastingBefore = this.#lasting;
  }

  /** The unit under way will be sent again. */
  takeBack(): void {
    this.#lasting = this.#lastingBefore;
  }

  // ---- what the node itself has told

  /** Replaces everything that an answer of the node knows better. At a boundary only. */
  replace(remains: Remains, lasting: Pins): void {
    this.#base = remains;
    this.#current = remains;
    this.#lasting = lasting;
    this.#lastingBefore = lasting;
    this.#areSettingsInDoubt = hasPin(remains.pins, PinReason.Setting);
    this.#isTainted = false;
    this.#start.lose();
  }

  // ----

  #applySet({ name, sql, isLocal, value }: Effect & { readonly kind: 'set' }, facts: TextFacts): void {
    this.noteName(name);
    if (isLocal) {
      if (isHeededLocally(name)) {
        this.#current = withLocal(this.#current, name, this.#kept(forSession(sql), facts, value));
      }
      return;
    }
    const { settings } = this.#current;
    const isRoom = settings.has(name) || settings.size < SETTINGS_MAX;
    if (!isRoom || sql.length > SETTING_BYTES_MAX) {
      this.pin(PinReason.Setting, name);
      return;
    }
    const before = name === DATESTYLE && !sql.includes(',') ? settings.get(name) : undefined;
    if (before === undefined) {
      this.#current = withSetting(this.#current, name, this.#kept(sql, facts, value));
      return;
    }
    // The whole string is run as one: its last statement decides, but each says only half.
    const both = `${before.sql}; ${sql}`;
    if (both.split(';').length > DATESTYLES_MAX) this.pin(PinReason.Setting, name);
    this.#current = withSetting(this.#current, name, this.#kept(both, facts, value));
  }

  #kept(sql: string, facts: TextFacts, value: string | null): Kept {
    return this.#identities.kept({ sql, under: this.circumstances(facts), value });
  }

  /** Names that were written in different encodings are not told apart by their bytes: the node must be asked what they are. */
  #noteChannel(channel: string, { clientEncoding }: TextFacts): void {
    if (isPlain(channel)) return;
    for (const [name, { under }] of this.#current.channels) {
      if (isPlain(name) || under.reading.clientEncoding === clientEncoding) continue;
      this.pin(PinReason.ClientEncoding);
      return;
    }
  }

  /** What is closed stays closed, also when the transaction is rolled back. */
  #closeCursor(name: string | null): void {
    const close = (remains: Remains): Remains =>
      withPins(
        remains,
        without(
          remains.pins,
          (pin) => pin.reason === PinReason.CursorWithHold && (name === null || pin.name === null || pin.name === name),
        ),
      );
    const isSame = this.#base === this.#current;
    this.#current = close(this.#current);
    this.#base = isSame ? this.#current : close(this.#base);
    this.#savepoints = this.#savepoints.map((savepoint) => ({ ...savepoint, remains: close(savepoint.remains) }));
  }

  #discard(what: 'all' | 'plans' | 'sequences' | 'temp'): void {
    switch (what) {
      case 'temp':
        this.#current = withPins(this.#current, withoutPin(this.#current.pins, PinReason.TemporaryObject, null));
        return;
      case 'sequences':
        this.#lasting = withoutPin(this.#lasting, PinReason.SequenceState, null);
        return;
      case 'all':
        // What nobody has read may have made up names of settings, which stay: the node is asked all the same.
        this.#lasting = without(this.#lasting, ({ reason }) => DISCARDED.has(reason));
        this.#current = noRemains;
        this.#start.lose();
        this.#areSettingsInDoubt = false;
        this.#isDiscarded = true;
        // It runs outside of any transaction, and commits at once.
        this.commit();
        return;
      case 'plans':
      default:
    }
  }
}
