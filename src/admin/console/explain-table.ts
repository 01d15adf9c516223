import { SwitchyardError } from '../../errors.js';
import type { Row } from '../../protocol/row-messages.js';
import { DATABASE_CHARS_MAX, explainWhenLoaded } from '../explain-route.js';
import type { Proxy } from '../proxy.js';
import { columns } from './facts.js';

export const EXPLAIN_COLUMNS = columns(['text', 'statement target reason name why remedy template']);

/**
 * Where the statements of a text would go on a split listener, a row for each.
 * @throws SwitchyardError `bad_command` for a text that PostgreSQL's grammar refuses, `not_available` before the parser is loaded
 */
export async function explainRows(sql: string, database: string | null, proxy: Proxy): Promise<readonly Row[]> {
  const { explain, clock, config } = proxy;
  if (explain === undefined) throw new SwitchyardError('not_available', 'the SQL parser is not loaded');
  const name = database ?? config.cluster.monitor.database;
  if (name.length > DATABASE_CHARS_MAX) throw new SwitchyardError('unknown_database', `there is no database "${name}"`);
  const { statements, mistake, trouble } = await explainWhenLoaded(name, sql, explain, clock);
  if (mistake !== null) {
    const place = mistake.line === null ? null : `In line ${mistake.line}, at column ${mistake.column ?? 1}.`;
    throw new SwitchyardError('bad_command', mistake.message, { detail: place });
  }
  return statements.map((one) => [
    ...[one.statement, one.target, one.reason, one.name, one.why],
    // Without a catalogue nothing is a proven read, whatever else is said.
    ...[
      trouble === null ? one.remedy : `The catalogue of database "${name}" could not be read: ${trouble}`,
      one.template,
    ],
  ]);
}
