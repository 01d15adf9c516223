import type { StatementAnalysis } from '../../../../src/sql/analysis.js';
import { lex } from '../../../../src/sql/lexer.js';
import { SourceText } from '../../../../src/sql/source-text.js';
import type { SqlParser } from '../../../../src/sql/sql-parser.js';
import { analyzeStatement } from '../../../../src/sql/statement-effects.js';
import { TemplateBuffer } from '../../../../src/sql/template-buffer.js';

/**
 * What the parser tells of a text as it is, without any template: the truth that templates are measured against. Null: it refuses the text,
 * or the text is more than it is ever given. `standard_conforming_strings` is on.
 */
export function parseItself(parser: SqlParser, text: Buffer): readonly StatementAnalysis[] | null {
  const parsed = parser.parse(text, 0, text.length);
  if (parsed.kind !== 'tree') return null;
  const tokens = new TemplateBuffer();
  lex(text, 0, text.length, false, (_kind, start, end) => {
    // Each token lies where it lies in the text, because the locations in the tree are those of the text.
    tokens.length = start;
    tokens.open(start, end, 0, false);
  });
  if (tokens.isOverflowing) return null;
  tokens.length = text.length;
  const source = new SourceText(tokens, text, 0, text.length, false);
  return parsed.statements.map((raw) => {
    source.begin(raw, parsed.statements.length === 1);
    if (raw.stmt === undefined) throw new Error('a statement without a tree');
    return analyzeStatement(raw.stmt, source);
  });
}
