import type { Analysis, TextFacts } from '../../../src/sql/analysis.js';
import { SourceText } from '../../../src/sql/source-text.js';
import { TreeAnalyzer } from '../../../src/sql/sql-analyzer.js';
import { SqlParser } from '../../../src/sql/sql-parser.js';
import { analyzeStatement } from '../../../src/sql/statement-effects.js';
import { Reading, TemplateReader } from '../../../src/sql/template.js';
import { VerdictCache } from '../../../src/sql/verdict-cache.js';

export const plainFacts: TextFacts = { clientEncoding: 'UTF8', escapesInStrings: false };

/** Reads statements through templates as the program does, and without them. */
export class StatementReader {
  readonly parser: SqlParser;
  readonly cache: VerdictCache;
  readonly analyzer: TreeAnalyzer;
  readonly #reader = new TemplateReader();

  private constructor(parser: SqlParser) {
    this.parser = parser;
    this.cache = new VerdictCache();
    this.analyzer = new TreeAnalyzer(parser, this.cache);
  }

  static async load(): Promise<StatementReader> {
    return new StatementReader(await SqlParser.load());
  }

  /** As the program reads it. The text stands in the middle of a buffer, as it does there. */
  analyze(text: string | Buffer, facts: Partial<TextFacts> = {}): Analysis {
    const bytes = Buffer.concat([Buffer.from("x'"), Buffer.from(text), Buffer.from("'$$")]);
    return this.analyzer.analyze(bytes, 2, bytes.length - 3, { ...plainFacts, ...facts });
  }

  /** From the literals as they are written, nothing folded; null when the parser refuses that. */
  analyzeLiterally(text: string | Buffer, escapesInStrings = false): Analysis | null {
    const bytes = Buffer.from(text);
    const { out } = this.#reader;
    if (this.#reader.read(bytes, 0, bytes.length, escapesInStrings, true) !== Reading.Ok) return null;
    const parsed = this.parser.parse(out.bytes, 0, out.length);
    if (parsed.kind !== 'tree') return null;
    const source = new SourceText(out, bytes, 0, bytes.length, escapesInStrings);
    const statements = parsed.statements.map((raw) => {
      source.begin(raw, parsed.statements.length === 1);
      if (raw.stmt === undefined) throw new Error('a statement without a tree');
      return analyzeStatement(raw.stmt, source);
    });
    return { statements, template: this.template(bytes, escapesInStrings) };
  }

  /** The template of a text, or what became of it. */
  template(text: string | Buffer, escapesInStrings = false): string {
    const bytes = Buffer.from(text);
    const reading = this.#reader.read(bytes, 0, bytes.length, escapesInStrings, false);
    return reading === Reading.Ok ? this.#reader.out.toString() : reading;
  }
}
