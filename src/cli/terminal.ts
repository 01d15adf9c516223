import type { Environment } from '../config/interpolate.js';

/** Where a command writes to, and what it knows about it. */
export interface Terminal {
  readonly env: Environment;
  /** Characters in a line; null when nobody looks (a pipe, a file). */
  readonly columns: number | null;
  readonly hasColour: boolean;
  /** One line, or several, without the last line break. */
  print(text: string): void;
  /** The same for what is no result. */
  complain(text: string): void;
}

/** The terminal of this process. Colour only for people, and not where NO_COLOR (no-color.org) asks for none. */
export function processTerminal(): Terminal {
  const { stdout, env } = process;
  const isTerminal = stdout.isTTY;
  return {
    env,
    columns: isTerminal ? stdout.columns : null,
    hasColour: isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb',
    print: (text) => void stdout.write(`${text}\n`),
    complain: (text) => void process.stderr.write(`${text}\n`),
  };
}

const COLOURS = { red: 31, green: 32, yellow: 33 } as const;
export type Colour = keyof typeof COLOURS;

/** SGR sequences of ECMA-48. */
export function coloured(text: string, colour: Colour | null, hasColour: boolean): string {
  return hasColour && colour !== null ? `\u001B[${COLOURS[colour]}m${text}\u001B[0m` : text;
}

/** What others said, as one line that cannot command the terminal. */
export function printable(text: string): string {
  return withoutControls(text.replace(/\s+/g, ' '));
}

/** The same for a line whose blanks mean something. */
export function withoutControls(line: string): string {
  // oxlint-disable-next-line no-control-regex
  return line.replace(/[\u0000-\u001F\u007F-\u009F]/g, '?');
}
