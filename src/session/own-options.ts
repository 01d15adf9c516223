import { SwitchyardError } from '../errors.js';
import type { SessionIntent } from './context.js';
import { oneOf, ownSettingKind, ownSettingKinds } from './own-setting-kinds.js';

type Route = SessionIntent['route'];

/** The door that a client comes in through. */
interface OwnOptionsDoor {
  readonly listener: string;
  readonly intent: { readonly route: Route };
}

/** Routes that a client of a listener may ask for: it can narrow the route, never widen it. */
const NARROWER: Readonly<Record<Route, readonly Route[]>> = {
  primary: ['primary'],
  standby: ['standby'],
  split: ['split', 'primary', 'standby'],
};

/**
 * Checks what a client asks of us in `options=-c switchyard.<name>=...`; names without the prefix, in lower case. Gives the settings that
 * its session begins with, or the error that it is turned away with.
 */
export function readOwnOptions(
  own: ReadonlyMap<string, string>,
  { listener, intent: { route } }: OwnOptionsDoor,
): ReadonlyMap<string, string> | SwitchyardError {
  const settings = new Map<string, string>();
  for (const [name, value] of own) {
    const read = name === 'route' ? readRoute(value, route, listener) : readForSplit(name, value, route, listener);
    if (read instanceof SwitchyardError) return read;
    settings.set(name, read);
  }
  return settings;
}

function readRoute(value: string, route: Route, listener: string): string | SwitchyardError {
  const wanted = oneOf(value, NARROWER[route]);
  if (wanted !== null) return wanted;
  return refused(`route "${value}" is not available here`, {
    detail: `The listener "${listener}" has the route ${route}; a client can narrow a route, not widen it.`,
    hint: `Available values: ${NARROWER[route].join(', ')}.`,
  });
}

function readForSplit(name: string, value: string, route: Route, listener: string): string | SwitchyardError {
  const option = ownSettingKind(name);
  if (option === null) {
    const known = Object.keys(ownSettingKinds).map((each) => `switchyard.${each}`);
    return refused(`unrecognized option "switchyard.${name}"`, { hint: `Known: ${known.join(', ')}.` });
  }
  if (route !== 'split') {
    return refused(`option "switchyard.${name}" is not available here`, {
      detail: `The listener "${listener}" has the route ${route}; the option is for listeners with route split.`,
    });
  }
  const read = option.read(value);
  if (read !== null) return read;
  return refused(`invalid value for option "switchyard.${name}": "${value}"`, {
    hint: `Available values: ${option.takes}.`,
  });
}

function refused(message: string, more: { readonly detail?: string; readonly hint?: string }): SwitchyardError {
  return new SwitchyardError('bad_route_option', message, more);
}
