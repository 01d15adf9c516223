import type { RawStmt } from 'libpg-query';
import { unreadFacts } from './analysis.js';
import type { Analysis, SqlAnalyzer, TextFacts } from './analysis.js';
import { PinReason } from './pin-reason.js';
import { SourceText } from './source-text.js';
import type { SqlParser } from './sql-parser.js';
import { analyzeStatement } from './statement-effects.js';
import { Reading, TemplateReader } from './template.js';
import type { VerdictCache } from './verdict-cache.js';

/** Encodings in which a byte of a longer character can look like ASCII (documentation, "Character Set Support"). */
const UNREADABLE_ENCODINGS: ReadonlySet<string> = new Set([
  'SJIS',
  'BIG5',
  'GBK',
  'UHC',
  'GB18030',
  'JOHAB',
  'SHIFT_JIS_2004',
]);

const tooLarge = unread(PinReason.StatementTooLarge);
const unknown = unread(PinReason.UnknownStatement);
const unreadable = unread(PinReason.ClientEncoding);

/**
 * Reads statements with PostgreSQL's own grammar, once for each template. What that grammar refuses may still run on a node of another
 * version, so that it is taken for one statement of unknown effect; where the node refuses it too, it never completes and has none.
 */
export class TreeAnalyzer implements SqlAnalyzer {
  readonly #parser: SqlParser;
  readonly #cache: VerdictCache;
  readonly #reader: TemplateReader;

  constructor(parser: SqlParser, cache: VerdictCache) {
    this.#parser = parser;
    this.#cache = cache;
    this.#reader = new TemplateReader();
  }

  analyze(buffer: Buffer, start: number, end: number, facts: TextFacts): Analysis {
    if (UNREADABLE_ENCODINGS.has(facts.clientEncoding) && !isAscii(buffer, start, end)) return unreadable;
    const { escapesInStrings } = facts;
    const reading = this.#reader.read(buffer, start, end, escapesInStrings, false);
    if (reading !== Reading.Ok) return reading === Reading.TooLarge ? tooLarge : unknown;
    const template = this.#reader.out.toString();
    const verdict = this.#cache.get(template);
    if (verdict?.kind === 'analysis') return verdict.analysis;
    const source = new SourceText(this.#reader.out, buffer, start, end, escapesInStrings);
    if (verdict !== undefined) return analyzeAll(verdict.statements, source, template);
    const { out } = this.#reader;
    const parsed = this.#parser.parse(out.bytes, 0, out.length);
    if (parsed.kind === 'not_read') return unknown;
    if (parsed.kind === 'refused') return this.#analyzeText(buffer, start, end, escapesInStrings, template);
    const analysis = analyzeAll(parsed.statements, source, template);
    this.#cache.set(template, source.wasUsed ? parsed : { kind: 'analysis', analysis });
    return analysis;
  }

  /** The template is no SQL: one of its literals, or the length of a list, means something to the grammar. */
  #analyzeText(buffer: Buffer, start: number, end: number, escapesInStrings: boolean, template: string): Analysis {
    const { out } = this.#reader;
    const reading = this.#reader.read(buffer, start, end, escapesInStrings, true);
    if (reading !== Reading.Ok) return reading === Reading.TooLarge ? tooLarge : unknown;
    const parsed = this.#parser.parse(out.bytes, 0, out.length);
    if (parsed.kind !== 'tree') return unknown;
    const source = new SourceText(out, buffer, start, end, escapesInStrings);
    const analysis = analyzeAll(parsed.statements, source, template);
    if (!source.wasUsed) this.#cache.set(template, { kind: 'analysis', analysis });
    return analysis;
  }
}

function analyzeAll(statements: readonly RawStmt[], source: SourceText, template: string): Analysis {
  return {
    statements: statements.map((raw) => {
      source.begin(raw, statements.length === 1);
      return raw.stmt === undefined ? unreadStatement(PinReason.UnknownStatement) : analyzeStatement(raw.stmt, source);
    }),
    template,
  };
}

function unread(reason: PinReason): Analysis {
  return { statements: [unreadStatement(reason)], template: null };
}

/** One statement that stands for all of a text. */
function unreadStatement(reason: PinReason): Analysis['statements'][number] {
  return { ...unreadFacts, effects: [{ kind: 'pin', reason, name: null }] };
}

function isAscii(text: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i += 1) if ((text[i] ?? 0) >= 0x80) return false;
  return true;
}
