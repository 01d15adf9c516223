import { Access } from '../../sql/analysis.js';
import type { Analysis, Effect, StatementAnalysis } from '../../sql/analysis.js';
import { isUnread } from './pin.js';

/** How deep statements are followed that execute others. */
const DEPTH_MAX = 8;
/** Lists all of them: a view, and the function behind it (documentation, "pg_prepared_statements"). */
const LISTINGS: ReadonlySet<string> = new Set(['pg_prepared_statements', 'pg_prepared_statement']);

/**
 * Adds the names of prepared statements that these statements execute, prepare or deallocate, each once: what becomes of them depends on
 * whether there is one of that name. False: they may look at any (DO, CALL, EXPLAIN EXECUTE, what was not read, the view that lists them).
 */
export function addNeededNames(
  { statements }: Analysis,
  analysisOf: (name: string) => Analysis | null,
  into: string[],
  depth = 0,
): boolean {
  let isTold = true;
  for (const statement of statements) {
    if (looksAtAny(statement)) isTold = false;
    for (const effect of statement.effects) {
      if (effect.kind !== 'execute' && effect.kind !== 'prepare' && effect.kind !== 'deallocate') continue;
      if (effect.name === null) continue;
      if (!into.includes(effect.name)) into.push(effect.name);
      if (effect.kind !== 'execute') continue;
      const inner = depth < DEPTH_MAX ? analysisOf(effect.name) : null;
      if (inner !== null && !addNeededNames(inner, analysisOf, into, depth + 1)) isTold = false;
    }
  }
  return isTold;
}

function looksAtAny({ access, effects, names }: StatementAnalysis): boolean {
  return (
    // EXPLAIN of it, which does not run it: its name is not told.
    (access === Access.Execute && !effects.some(executes)) ||
    effects.some(hidesNames) ||
    names.relations.some(isListing) ||
    names.functions.some(isListing)
  );
}

function executes({ kind }: Effect): boolean {
  return kind === 'execute';
}

function hidesNames(effect: Effect): boolean {
  return effect.kind === 'pin' && isUnread(effect.reason);
}

function isListing({ name }: { readonly name: string }): boolean {
  return LISTINGS.has(name);
}
