import type { Applied } from './applied.js';
import { PinReason } from '../../sql/pin-reason.js';
import { isOwnValue } from '../../sql/setting-effects.js';
import { quotedName, quotedString } from './kept.js';
import type { Circumstances, Kept } from './kept.js';
import { SETTING_BYTES_MAX, SETTINGS_MAX } from './leftovers.js';
import type { Leftovers } from './leftovers.js';
import { isUnread, without, withPin } from './pin.js';
import type { Pins } from './pin.js';
import type { PreparedEntry, PreparedStatements } from './prepared.js';
import { Circumstance } from './remains.js';
import type { Remains } from './remains.js';
import { INSPECTED } from './session-inspection.js';
import type { InspectedStatement, Inspection, InspectionQuestion } from './session-inspection.js';
import { isProvable } from './suspects.js';

/**
 * Replaces what was only known in part by what a node has told: that of `applied`; null: it had everything. `prepare` keeps a statement that
 * was prepared out of sight; false: its text cannot be told.
 */
export function takeOver(
  inspection: Inspection,
  leftovers: Leftovers,
  prepared: PreparedStatements,
  applied: Applied | null,
  prepare: (statement: InspectedStatement) => boolean,
): void {
  const { remains } = leftovers;
  const wasInDoubt = leftovers.areSettingsInDoubt;
  const sinceMs = leftovers.nowMs;
  const here: Circumstances = { ...leftovers.circumstances(INSPECTED), reading: INSPECTED };
  let pins: Pins = without(remains.pins, (pin) => pin.reason !== PinReason.Setting || isProvable(pin));
  for (const name of inspection.temporary)
    pins = withPin(pins, PinReason.TemporaryObject, name, since(PinReason.TemporaryObject));
  for (const name of inspection.cursors)
    pins = withPin(pins, PinReason.CursorWithHold, name, since(PinReason.CursorWithHold));
  let lasting = without(leftovers.lasting, ({ reason }) => isUnread(reason) || LASTING.has(reason));
  if (inspection.hasAdvisoryLock)
    lasting = withPin(lasting, PinReason.AdvisoryLock, null, since(PinReason.AdvisoryLock));
  const names = new Set(inspection.prepared.map(({ name }) => name));
  const has = (entry: PreparedEntry): boolean => applied?.markOf(entry.statement.name) === entry.mark;
  const unknown = new Set(prepared.reconcile(names, applied === null ? null : has));
  if (applied !== null) {
    // What the session has closed while it was elsewhere is nothing new.
    for (const name of applied.names())
      if (!unknown.delete(name) && name !== '' && !names.has(name)) applied.forgot(name);
  }
  for (const statement of inspection.prepared) {
    if (unknown.has(statement.name) && !prepare(statement)) {
      const reason = statement.sql === null ? PinReason.TooManyPrepared : PinReason.PreparedInSql;
      lasting = withPin(lasting, reason, statement.name, since(reason));
    }
  }
  let settings = remains.settings;
  let channels = remains.channels;
  if (wasInDoubt) {
    settings = settingsOf(inspection, remains, here);
    if (applied?.listens !== false) channels = channelsOf(inspection, remains, here);
    const isUnsettable = inspection.fixedSettings.some((name) => !remains.settings.has(name));
    if (
      settings.size > SETTINGS_MAX ||
      isUnsettable ||
      [...settings.values()].some(({ sql }) => sql.length > SETTING_BYTES_MAX)
    ) {
      pins = withPin(pins, PinReason.Setting, null, since(PinReason.Setting));
    }
    for (const name of inspection.madeUp.keys()) leftovers.noteName(name);
  }
  leftovers.replace({ ...remains, settings, channels, pins, locals: new Map() }, lasting);

  function since(reason: PinReason): number {
    for (const pin of leftovers.pins) if (pin.reason === reason) return pin.sinceMs;
    return sinceMs;
  }
}

const BEYOND_ASCII = /[\u0080-\uffff]/;

const LASTING: ReadonlySet<PinReason> = new Set([
  PinReason.AdvisoryLock,
  PinReason.PreparedInSql,
  PinReason.TooManyPrepared,
]);

/** The values of the session, in the order in which they were known; what was not known comes behind. */
function settingsOf(inspection: Inspection, { settings }: Remains, here: Circumstances): ReadonlyMap<string, Kept> {
  const values = new Map([...inspection.settings, ...[...inspection.madeUp].filter(([, value]) => value !== '')]);
  const found = new Map<string, Kept>();
  const add = (name: string, value: string): void => {
    const sql = `SELECT pg_catalog.set_config(${quotedString(name)}, ${quotedString(value)}, false)`;
    const before = settings.get(name);
    // What is the same stays the same, because others refer to it.
    if (before?.sql === sql) found.set(name, before);
    else {
      const under = before === undefined ? here : { ...before.under, reading: INSPECTED };
      found.set(name, { sql, under, value: isOwnValue(name) ? value : null });
    }
  };
  for (const name of settings.keys()) {
    const value = values.get(name);
    if (value !== undefined) add(name, value);
  }
  for (const [name, value] of values) if (!found.has(name)) add(name, value);
  // Only a superuser can have set these, which is why they were kept as they were written.
  for (const name of inspection.fixedSettings) {
    const before = settings.get(name);
    if (before !== undefined) found.set(name, before);
  }
  const { authorization, role } = inspection;
  if (authorization !== null) {
    const sql = `SET SESSION AUTHORIZATION ${quotedName(authorization)}`;
    found.set(Circumstance.Authorization, same(settings.get(Circumstance.Authorization), sql, here));
  }
  if (role !== null)
    found.set(Circumstance.Role, same(settings.get(Circumstance.Role), `SET ROLE ${quotedName(role)}`, here));
  return found;
}

function channelsOf({ channels }: Inspection, remains: Remains, here: Circumstances): ReadonlyMap<string, Kept> {
  return new Map(
    channels.map((name) => [
      name,
      remains.channels.get(name) ?? { sql: `LISTEN ${quotedName(name)}`, under: here, value: null },
    ]),
  );
}

function same(before: Kept | undefined, sql: string, under: Circumstances): Kept {
  return before?.sql === sql ? before : { sql, under, value: null };
}

/** What a node is to be asked. `suspects`: settings of made-up names that were seen. */
export function questionOf({ remains, lasting, madeUp }: Leftovers, suspects: ReadonlySet<string>): InspectionQuestion {
  const settings = [...remains.settings.keys()].filter((name) => name.includes('.'));
  return {
    // Also those whose SET was rolled back, as far as can be told: a procedure may have committed it.
    names: [...new Set([...suspects, ...settings, ...madeUp])],
    isProcedure: [...lasting.values()].some(({ reason }) => isUnread(reason)),
  };
}

/** Whether every name that is to be compared is plain. */
export function areAscii(inspection: Inspection, prepared: PreparedStatements): boolean {
  const told = inspection.prepared.map(({ name }) => name);
  return [...told, ...prepared.names(), ...inspection.channels, ...inspection.cursors].every(
    (name) => !BEYOND_ASCII.test(name),
  );
}
