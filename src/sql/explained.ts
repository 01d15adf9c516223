import type { Node } from 'libpg-query';
import type { SourceText } from './source-text.js';
import { STRING_IN_TEMPLATE } from './template-buffer.js';

/** Words that an option of EXPLAIN can be set to, in lower case. */
const WORDS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['on', true],
  ['false', false],
  ['off', false],
]);
const ZERO = /^0+$/;
const ONE = /^0*1$/;

/**
 * Whether EXPLAIN runs the statement: the last option ANALYZE counts. Null: that cannot be told, or PostgreSQL refuses the value. Source:
 * `defGetBoolean` in `src/backend/commands/define.c` of PostgreSQL.
 */
export function isAnalyzed(options: readonly Node[], source: SourceText): boolean | null {
  let runs: boolean | null = false;
  for (const option of options) {
    if (!('DefElem' in option) || option.DefElem.defname !== 'analyze') continue;
    const { arg, location = 0 } = option.DefElem;
    runs = arg === undefined ? true : valueOf(arg, location, source);
  }
  return runs;
}

function valueOf(arg: Node, location: number, source: SourceText): boolean | null {
  if ('String' in arg) {
    const { sval = '' } = arg.String;
    const word = sval === STRING_IN_TEMPLATE ? source.valueOf(source.tokenBehind(location)) : sval;
    return WORDS.get(word?.toLowerCase() ?? '') ?? null;
  }
  const number = source.tokenBehind(location);
  if (ZERO.test(number)) return false;
  return ONE.test(number) ? true : null;
}
