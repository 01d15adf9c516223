import type { Terminal } from '../../../src/cli/terminal.js';
import type { Environment } from '../../../src/config/interpolate.js';

/** A terminal that keeps what was written. */
export interface KeptTerminal extends Terminal {
  /** What was printed, line by line as it came. */
  readonly printed: string[];
  readonly complaints: string[];
}

export function terminalOf(over: Partial<Pick<Terminal, 'env' | 'columns' | 'hasColour'>> = {}): KeptTerminal {
  const printed: string[] = [];
  const complaints: string[] = [];
  const env: Environment = over.env ?? {};
  return {
    env,
    columns: over.columns ?? null,
    hasColour: over.hasColour ?? false,
    printed,
    complaints,
    print: (text) => void printed.push(text),
    complain: (text) => void complaints.push(text),
  };
}
