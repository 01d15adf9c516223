import type { ExplainDocument, ExplainedStatement } from '../../admin/explain.js';
import { coloured, printable, withoutControls } from '../terminal.js';

const INDENT = '    ';
/** Longest part of a statement or template that is shown. */
const SHOWN_CHARS_MAX = 400;
const TARGETS = { standby: 'STANDBY', primary: 'PRIMARY' } as const;
const COLOURS = { standby: 'green', primary: 'yellow' } as const;

/** What was found out, for people: a paragraph for each statement, and a last line about the whole. */
export function renderExplain(document: ExplainDocument, hasColour: boolean): string {
  const { statements, target, catalog } = document;
  const lines = [catalogLine(document), ''];
  for (const each of statements) lines.push(...statementLines(each, hasColour), '');
  if (statements.length > 1 && target !== null) {
    lines.push(`Sent as one string, all of it goes to ${target === 'standby' ? 'a standby' : 'the primary'}.`);
  }
  if (statements.length === 0) lines.push('There is no statement in it: it may go anywhere.');
  if (catalog === null && statements.length > 0) lines.push('Without a catalogue little is a proven read.');
  return lines.join('\n').trimEnd();
}

/** The mistake with its line, and a mark below the place. */
export function renderMistake(sql: string, { message, line, column }: NonNullable<ExplainDocument['mistake']>): string {
  if (line === null || column === null) return printable(message);
  const source = withoutControls((sql.split('\n')[line - 1] ?? '').replaceAll('\t', ' '));
  const from = Math.max(0, column - SHOWN_CHARS_MAX / 2);
  const shown = Array.from(source)
    .slice(from, from + SHOWN_CHARS_MAX)
    .join('');
  return `line ${line}, column ${column}: ${printable(message)}\n${INDENT}${shown}\n${INDENT}${' '.repeat(column - 1 - from)}^`;
}

function catalogLine({ database, catalog, trouble }: ExplainDocument): string {
  const name = printable(database);
  if (catalog === null)
    return `Database ${name}: nothing is known of it${trouble === null ? '' : `: ${printable(trouble)}`}`;
  const { serverVersion, functions, views } = catalog;
  return `Database ${name}, PostgreSQL ${Math.floor(serverVersion / 10_000)}: ${functions} functions, ${views} views`;
}

function statementLines(each: ExplainedStatement, hasColour: boolean): string[] {
  const { statement, target, reason, why, within, remedy, template } = each;
  const lines = [
    `${coloured(TARGETS[target], COLOURS[target], hasColour)}  ${cut(printable(statement))}`,
    `${INDENT}${printable(why)} (${reason})`,
  ];
  for (const inner of within) lines.push(`${INDENT}${INDENT}${printable(inner.why)} (${inner.obstacle})`);
  if (remedy !== null) lines.push(`${INDENT}${printable(remedy)}`);
  if (template !== null) lines.push(`${INDENT}template: ${cut(printable(template))}`);
  return lines;
}

function cut(text: string): string {
  const characters = Array.from(text);
  return characters.length <= SHOWN_CHARS_MAX ? text : `${characters.slice(0, SHOWN_CHARS_MAX - 3).join('')}...`;
}
