import { coloured } from '../terminal.js';
import type { Colour } from '../terminal.js';

export interface Cell {
  readonly text: string;
  readonly colour?: Colour | null;
}

export interface Column {
  readonly title: string;
  /** `end`: numbers. */
  readonly align: 'start' | 'end';
}

/** The last column is cut to this at the least where the table does not fit. */
const LAST_WIDTH_MIN = 20;
/** Border and blanks of one column. */
const COLUMN_EDGE = 3;

/** A table in a box; the last column is cut so that it fits into `width` (null: it always does). */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width: number | null,
  hasColour: boolean,
): string[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(lengthOf(title), ...rows.map((row) => lengthOf(row[index]?.text ?? ''))),
  );
  const last = columns.length - 1;
  if (width !== null && last >= 0) {
    const others = widths.slice(0, last).reduce((sum, each) => sum + each + COLUMN_EDGE, COLUMN_EDGE + 1);
    widths[last] = Math.min(widths[last] ?? 0, Math.max(LAST_WIDTH_MIN, width - others));
  }
  const edge = `+${widths.map((each) => '-'.repeat(each + 2)).join('+')}+`;
  const line = (cells: readonly Cell[]): string => {
    const parts = columns.map(({ align }, index) => {
      const { text, colour } = cells[index] ?? { text: '' };
      const size = widths[index] ?? 0;
      const cut = cutTo(text, size);
      const blank = ' '.repeat(size - lengthOf(cut));
      const shown = coloured(cut, colour ?? null, hasColour);
      return ` ${align === 'end' ? blank + shown : shown + blank} `;
    });
    return `|${parts.join('|')}|`;
  };
  return [edge, line(columns.map(({ title }) => ({ text: title }))), edge, ...rows.map(line), edge];
}

function lengthOf(text: string): number {
  return Array.from(text).length;
}

function cutTo(text: string, size: number): string {
  const characters = Array.from(text);
  return characters.length <= size ? text : `${characters.slice(0, Math.max(0, size - 3)).join('')}...`;
}
