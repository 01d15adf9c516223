import { printable } from '../terminal.js';
import type { Draft, DraftLine, DraftValue } from './draft.js';

/** Where the comment begins that says where a line comes from. */
const COMMENT_COLUMN = 48;
/** Comments are broken before they get longer. */
const LINE_LENGTH = 120;
/** Texts that mean the same with and without quotes; words that YAML or people take for something else have them. */
const PLAIN = /^(?!(?:true|false|null|yes|no|on|off|y|n|inf|nan)$)[A-Za-z_/][\w./@-]*$/i;
const DURATION_OR_SIZE = /^\d+(?:ms|s|m|h|d|B|kB|MB|GB|TB)$/;

/** The text of the new file: what is above it as comments, then the keys in the order of the schema, each with where it comes from. */
export function renderDraft(draft: Draft, heading: readonly string[]): string {
  const lines = [...heading.flatMap((line) => comment(line, ''))];
  let open: readonly string[] = [];
  for (const key of draft.keys()) {
    const path = key.split('.');
    const parents = path.slice(0, -1);
    for (const [depth, parent] of parents.entries()) {
      if (open[depth] === parent && open.slice(0, depth).every((name, index) => name === parents[index])) continue;
      if (depth === 0) lines.push('');
      lines.push(...notesOf(draft, parents.slice(0, depth + 1)), `${'  '.repeat(depth)}${parent}:`);
      open = parents.slice(0, depth + 1);
    }
    open = parents;
    const indent = '  '.repeat(parents.length);
    if (draft.isList(key)) {
      if (parents.length === 0) lines.push('');
      lines.push(...notesOf(draft, path), `${indent}${path.at(-1) ?? ''}:`);
      for (const entry of draft.entries(key)) lines.push(...renderEntry(entry, `${indent}  `));
      continue;
    }
    const line = draft.get(key);
    if (line !== null) lines.push(...renderLine(line, indent, indent));
  }
  return `${lines.join('\n')}\n`;
}

/** One comment, broken into lines. */
export function comment(text: string, indent: string): readonly string[] {
  const plain = text.trimEnd();
  const [, lead = ''] = /^(\s*)/.exec(plain) ?? [];
  const lines: string[] = [];
  let line = '';
  for (const word of printable(plain.trim()).split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && indent.length + 2 + lead.length + longer.length > LINE_LENGTH) {
      lines.push(line);
      // What goes on is set in further than what begins.
      line = `  ${word}`;
    } else {
      line = longer;
    }
  }
  return [...lines, line].map((each) => `${indent}# ${lead}${each}`.trimEnd());
}

function notesOf(draft: Draft, path: readonly string[]): readonly string[] {
  return draft.notes(path.join('.')).flatMap((note) => comment(note, '  '.repeat(path.length - 1)));
}

function renderEntry(entry: readonly DraftLine[], indent: string): readonly string[] {
  // A note of the first key stands above the dash.
  return entry.flatMap((line, index) =>
    renderLine(line, index === 0 ? `${indent}- ` : `${indent}  `, index === 0 ? indent : `${indent}  `),
  );
}

function renderLine({ key, value, from, notes }: DraftLine, before: string, indent: string): readonly string[] {
  const written = `${before}${key}: ${renderValue(value)}`;
  return [...notes.flatMap((note) => comment(note, indent)), `${written.padEnd(COMMENT_COLUMN)}  # ${printable(from)}`];
}

function renderValue(value: DraftValue): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return renderText(value);
  if ('reference' in value) return quoted(value.reference);
  if ('tags' in value) return `{ ${[...value.tags].map((tag) => tag.map(renderText).join(': ')).join(', ')} }`;
  return `[${value.map(renderText).join(', ')}]`;
}

function renderText(text: string): string {
  // "$$" is one "$" to the reader of the configuration, and "${" begins a reference.
  const escaped = text.replaceAll(/\$(?=[${])/g, '$$$$');
  return PLAIN.test(escaped) || DURATION_OR_SIZE.test(escaped) ? escaped : quoted(escaped);
}

/** JSON's texts are YAML's double-quoted ones, once what no file of text should hold is escaped. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll(
    // oxlint-disable-next-line no-control-regex
    /[\u007F-\u009F\u2028\u2029\uFEFF\uFFFE\uFFFF]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
