import type { Analysis, Effect, StatementAnalysis } from '../../../src/sql/analysis.js';

/** Types of PostgreSQL that no template tells of when a list of constants is cast to them, as the grammar names them. */
const PLAIN: ReadonlySet<string> = new Set(
  (
    'bool bytea bpchar date float4 float8 inet int2 int4 int8 interval json jsonb numeric text time timestamp timestamptz ' +
    'timetz uuid varchar'
  ).split(' '),
);

/** An analysis without what may differ between two readings of one text, one of its template and one of itself. */
export function comparable({ statements, template }: Analysis): Analysis {
  return { statements: statements.map(comparableStatement), template };
}

export function comparableStatement(statement: StatementAnalysis): StatementAnalysis {
  const types = statement.names.types.filter(({ name }) => !PLAIN.has(name));
  return { ...statement, effects: statement.effects.map(comparableEffect), names: { ...statement.names, types } };
}

function comparableEffect(effect: Effect): Effect {
  return effect.kind === 'prepare' ? { ...effect, prepared: comparableStatement(effect.prepared) } : effect;
}
