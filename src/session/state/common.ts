import { trustAll } from './function-trust.js';
import type { FunctionTrust } from './function-trust.js';
import { OwnIdentities } from './identities.js';
import type { Identities } from './identities.js';

/** What the states of sessions that get each other's backends have in common. */
export interface StateCommon {
  readonly identities: Identities;
  readonly trust: FunctionTrust;
}

/** For a session whose backends are its own. */
export function nothingInCommon(): StateCommon {
  return { identities: new OwnIdentities(), trust: trustAll };
}
