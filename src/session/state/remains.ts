import { noPins, without } from './pin.js';
import type { Pins } from './pin.js';
import { PinReason } from '../../sql/pin-reason.js';
import type { Kept } from './kept.js';

/**
 * What a session has left on its backend and a transaction can undo. Immutable: a snapshot is a reference, and a change makes a copy of
 * the one map that it changes.
 */
export interface Remains {
  /** By the name of the setting, in the order of their last change; `role` and `session_authorization` too. */
  readonly settings: ReadonlyMap<string, Kept>;
  /** Settings of the open transaction only, of those that the meaning of later statements hangs on, and of the proxy's own. */
  readonly locals: ReadonlyMap<string, Kept>;
  /** LISTEN, by channel. */
  readonly channels: ReadonlyMap<string, Kept>;
  readonly pins: Pins;
}

const nothing: ReadonlyMap<string, Kept> = new Map();

export const noRemains: Remains = { settings: nothing, locals: nothing, channels: nothing, pins: noPins };

/** The names of settings that later texts, or the right to run them, hang on. */
export const Circumstance = {
  Authorization: 'session_authorization',
  Role: 'role',
  SearchPath: 'search_path',
  Encoding: 'client_encoding',
  StandardStrings: 'standard_conforming_strings',
} as const;

const circumstanceNames: ReadonlySet<string> = new Set(Object.values(Circumstance));

export function isCircumstance(name: string): boolean {
  return circumstanceNames.has(name);
}

export function withSetting(remains: Remains, name: string, kept: Kept): Remains {
  const settings = new Map(remains.settings);
  // What is set last is replayed last.
  settings.delete(name);
  settings.set(name, kept);
  if (name === Circumstance.Authorization) settings.delete(Circumstance.Role);
  return { ...remains, settings, locals: withoutLocal(remains, name) };
}

/** Of a setting that stays only until the transaction ends. */
export function withLocal(remains: Remains, name: string, kept: Kept): Remains {
  return { ...remains, locals: new Map(withoutLocal(remains, name)).set(name, kept) };
}

export function withoutSetting(remains: Remains, name: string): Remains {
  const settings = new Map(remains.settings);
  settings.delete(name);
  // Another session user begins without a role (documentation, "SET SESSION AUTHORIZATION").
  if (name === Circumstance.Authorization) settings.delete(Circumstance.Role);
  return { ...remains, settings, locals: withoutLocal(remains, name) };
}

/** RESET ALL leaves who the user is. */
export function withoutSettings(remains: Remains): Remains {
  const isUser = (name: string): boolean => name === Circumstance.Authorization || name === Circumstance.Role;
  const keepUser = (map: ReadonlyMap<string, Kept>): ReadonlyMap<string, Kept> =>
    new Map([...map].filter(([name]) => isUser(name)));
  const pins = without(remains.pins, (pin) => pin.reason === PinReason.Setting);
  return { ...remains, pins, settings: keepUser(remains.settings), locals: keepUser(remains.locals) };
}

export function withChannel(remains: Remains, channel: string, kept: Kept): Remains {
  if (remains.channels.has(channel)) return remains;
  return { ...remains, channels: new Map(remains.channels).set(channel, kept) };
}

/** Null: all of them. */
export function withoutChannel(remains: Remains, channel: string | null): Remains {
  if (channel === null) return remains.channels.size === 0 ? remains : { ...remains, channels: nothing };
  if (!remains.channels.has(channel)) return remains;
  const channels = new Map(remains.channels);
  channels.delete(channel);
  return { ...remains, channels };
}

export function withPins(remains: Remains, pins: Pins): Remains {
  return pins === remains.pins ? remains : { ...remains, pins };
}

/** What SET LOCAL has set is gone. */
export function withoutLocals(remains: Remains): Remains {
  return remains.locals.size === 0 ? remains : { ...remains, locals: nothing };
}

function withoutLocal({ locals }: Remains, name: string): ReadonlyMap<string, Kept> {
  const isGone = (other: string): boolean =>
    other === name || (name === Circumstance.Authorization && other === Circumstance.Role);
  return [...locals.keys()].some(isGone) ? new Map([...locals].filter(([other]) => !isGone(other))) : locals;
}
