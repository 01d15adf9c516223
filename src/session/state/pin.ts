import { PinReason } from '../../sql/pin-reason.js';

/** Something a session has on its backend that cannot be taken along. */
export interface Pin {
  readonly reason: PinReason;
  /** Of the object, where it is known; one character for each byte. */
  readonly name: string | null;
  /** Since when, by the monotonic clock. */
  readonly sinceMs: number;
  /** Made so often under the same name, though there can be only one of each kind. */
  readonly count: number;
}

export type Pins = ReadonlyMap<string, Pin>;

export const noPins: ReadonlyMap<string, Pin> = new Map();

/** Undone with the transaction that they came about in. All others stay, whatever becomes of it. */
const TRANSACTIONAL: ReadonlySet<PinReason> = new Set([
  PinReason.TemporaryObject,
  PinReason.CursorWithHold,
  PinReason.Setting,
]);

/** What a node can be asked about: whether there is anything of it. */
const INSPECTABLE: ReadonlySet<PinReason> = new Set([
  PinReason.TemporaryObject,
  PinReason.AdvisoryLock,
  PinReason.CursorWithHold,
  PinReason.Setting,
  PinReason.Procedure,
  PinReason.CalledFunction,
  PinReason.UnknownStatement,
  PinReason.StatementTooLarge,
  PinReason.ClientEncoding,
  PinReason.PreparedInSql,
  PinReason.TooManyPrepared,
]);

/** Behind these anything may stand: the node is asked about everything. */
const UNREAD: ReadonlySet<PinReason> = new Set([
  PinReason.Procedure,
  PinReason.CalledFunction,
  PinReason.UnknownStatement,
  PinReason.StatementTooLarge,
  PinReason.ClientEncoding,
]);

/** A statement may have brought them about though it has failed. */
const SURVIVES_FAILURE: ReadonlySet<PinReason> = new Set([
  PinReason.AdvisoryLock,
  PinReason.ForeignSession,
  PinReason.Procedure,
]);

/** Whatever is read elsewhere might be another thing, or mean another thing. */
const OF_READS: ReadonlySet<PinReason> = new Set([
  PinReason.TemporaryObject,
  PinReason.Setting,
  PinReason.LoadedLibrary,
  PinReason.Procedure,
  PinReason.CalledFunction,
  PinReason.UnknownStatement,
  PinReason.StatementTooLarge,
  PinReason.ClientEncoding,
  PinReason.Replication,
]);

export function holdsReads(reason: PinReason): boolean {
  return OF_READS.has(reason);
}

export function isTransactional(reason: PinReason): boolean {
  return TRANSACTIONAL.has(reason);
}

export function isInspectable(reason: PinReason): boolean {
  return INSPECTABLE.has(reason);
}

export function isUnread(reason: PinReason): boolean {
  return UNREAD.has(reason);
}

export function survivesFailure(reason: PinReason): boolean {
  return SURVIVES_FAILURE.has(reason);
}

export function withPin(pins: Pins, reason: PinReason, name: string | null, nowMs: number): Pins {
  const key = keyOf(reason, name);
  const before = pins.get(key);
  if (before !== undefined && name === null) return pins;
  const sinceMs = before?.sinceMs ?? nowMs;
  return new Map(pins).set(key, { reason, name, sinceMs, count: (before?.count ?? 0) + 1 });
}

/** Takes the only one of its kind and name away, or with the name null all of the kind. */
export function withoutPin(pins: Pins, reason: PinReason, name: string | null): Pins {
  return without(pins, (pin) => pin.reason === reason && (name === null || (pin.name === name && pin.count === 1)));
}

export function without(pins: Pins, isGone: (pin: Pin) => boolean): Pins {
  let left: Map<string, Pin> | null = null;
  for (const [key, pin] of pins) {
    if (!isGone(pin)) continue;
    left ??= new Map(pins);
    left.delete(key);
  }
  return left ?? pins;
}

export function hasPin(pins: Pins, reason: PinReason): boolean {
  for (const pin of pins.values()) if (pin.reason === reason) return true;
  return false;
}

function keyOf(reason: PinReason, name: string | null): string {
  return name === null ? reason : `${reason}\0${name}`;
}
