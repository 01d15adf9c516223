import type { Circumstances, Kept } from './kept.js';
import { Circumstance } from './remains.js';

/** The settings that decide how texts are meant, and who runs them, as they are somewhere; null as after log-in. */
export interface Standing {
  readonly authorization: Kept | null;
  readonly role: Kept | null;
  readonly searchPath: Kept | null;
  readonly encoding: Kept | null;
  readonly standardStrings: Kept | null;
}

export function standingOf(find: (name: string) => Kept | null | undefined): Standing {
  return {
    authorization: find(Circumstance.Authorization) ?? null,
    role: find(Circumstance.Role) ?? null,
    searchPath: find(Circumstance.SearchPath) ?? null,
    encoding: find(Circumstance.Encoding) ?? null,
    standardStrings: find(Circumstance.StandardStrings) ?? null,
  };
}

/** The same user with the same rights finds the same things under the same names. */
export function isSameUser(a: Circumstances | Standing, b: Circumstances | Standing): boolean {
  return a.authorization === b.authorization && a.role === b.role && a.searchPath === b.searchPath;
}
