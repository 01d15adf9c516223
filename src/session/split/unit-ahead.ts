import { Frontend } from '../../protocol/codes.js';
import { NOT_READ } from '../../protocol/frame-scanner.js';
import type { Analysis, StatementAnalysis, TextFacts } from '../../sql/analysis.js';
import { readHint } from '../../sql/hint.js';
import type { RouteHint } from '../../sql/hint.js';
import { PinReason } from '../../sql/pin-reason.js';
import { readBindNames, readName } from '../state/bind-names.js';
import { addNeededNames } from '../state/needed-names.js';
import { readParse } from '../state/prepared.js';

const HEADER_BYTES = 5;
/** The first byte of a Describe or Close of a statement. */
const STATEMENT = 0x53;

const noNames: readonly string[] = [];

/** Messages of a unit that is read ahead, but for its Sync. */
const OF_A_BATCH: ReadonlySet<number> = new Set([
  Frontend.Parse,
  Frontend.Bind,
  Frontend.Describe,
  Frontend.Execute,
  Frontend.Close,
  Frontend.Flush,
]);

/** What a reader asks of the session. */
export interface TextReader {
  /** Reads the text `buffer[start, end)`, borrowed. */
  analyze(buffer: Buffer, start: number, end: number, facts: TextFacts): Analysis;
  /** What a prepared statement runs, also one that is on its way to be prepared; null: there is none, or nobody knows. */
  analysisOf(name: string): Analysis | null;
  /** What the text of a prepared statement asks of the proxy. */
  hintOf(name: string, facts: TextFacts): RouteHint | null;
}

/** How far a unit could be read. */
export const Extent = {
  /** To its Sync. */
  Whole: 'whole',
  /** All that is there, with a Flush or COPY data in it: more of it comes when some of it is answered. */
  Flushed: 'flushed',
  /** The rest has not arrived. */
  Partial: 'partial',
  /** It is longer than what is read. */
  TooLong: 'too_long',
} as const;
export type Extent = (typeof Extent)[keyof typeof Extent];

/**
 * What a unit is going to do, read from its frames before any of them is sent. One instance serves all units of a session, one after the
 * other.
 */
export class UnitAhead {
  /** What its statements run, in order; each is routed as if it were executed, though it may only be parsed or described. */
  readonly analyses: Analysis[] = [];
  /** Prepared statements that must be on its backend as the session has them, or must not be there: what it uses, makes and takes away. */
  readonly names: string[] = [];
  /** It may look at any prepared statement. */
  needsAll = false;
  extent: Extent = 'whole';
  /** It asks what numbers the session was given by sequences. */
  asksSequences = false;
  /** It takes numbers of sequences, for which the session may ask later. */
  takesNumbers = false;
  /** It runs something that cannot be known. */
  hasUnknown = false;
  /** Something of it is bound or executed, and not only parsed and described. */
  executes = false;
  hint: RouteHint | null = null;
  /** How many named statements it parses. */
  parses = 0;
  /** Of all that it parses. */
  parseBytes = 0;
  readonly #reader: TextReader;
  readonly #analysisOf: (name: string) => Analysis | null;
  readonly #bytesMax: () => number;
  readonly #heedsHints: boolean;
  /** Where the last message ends that is read. */
  #end = 0;
  /** Named statements that it binds or describes. */
  readonly #bound: string[] = [];
  /** Names in its texts. */
  readonly #inTexts: string[] = [];
  /** Statements that the unit itself parses. */
  readonly #parsed = new Map<string, Analysis>();
  /** Statements that it has closed. */
  readonly #closed = new Set<string>();

  /** `bytesMax`: longest unit that is read. `heedsHints`: its texts may ask something of the proxy. */
  constructor(reader: TextReader, bytesMax: () => number, heedsHints = true) {
    this.#reader = reader;
    this.#analysisOf = (name) => reader.analysisOf(name);
    this.#bytesMax = bytesMax;
    this.#heedsHints = heedsHints;
  }

  /** Those of `namesAtHand` that it only binds and describes, and that nothing in it knows by name. */
  get used(): readonly string[] {
    if (this.#bound.length === 0 || this.namesAtHand === 'all') return noNames;
    const isPlain = this.#inTexts.length === 0 && this.#parsed.size === 0 && this.#closed.size === 0;
    return isPlain ? this.#bound : this.#bound.filter((name) => !this.#isMentioned(name));
  }

  /** Prepared statements that must be on its backend, as far as can be told before all of it is there. */
  get namesAtHand(): readonly string[] | 'all' {
    // What follows a Flush may use any of them, and goes where this goes.
    return this.needsAll || this.extent !== Extent.Whole ? 'all' : this.names;
  }

  /** Reads the unit whose first message has the body `buffer[start, end)`, and of which what is there follows in `buffer`. */
  read(type: number, buffer: Buffer, start: number, end: number, facts: TextFacts): void {
    empty(this.analyses);
    empty(this.names);
    empty(this.#bound);
    empty(this.#inTexts);
    this.extent = Extent.Whole;
    this.needsAll = false;
    this.asksSequences = false;
    this.takesNumbers = false;
    this.hasUnknown = false;
    this.executes = false;
    this.hint = null;
    this.parses = 0;
    this.parseBytes = 0;
    if (this.#parsed.size > 0) this.#parsed.clear();
    if (this.#closed.size > 0) this.#closed.clear();
    if (type === Frontend.Query) {
      if (end === NOT_READ) this.extent = Extent.TooLong;
      else this.#addText(buffer, start, end - 1, facts);
    } else if (type === Frontend.FunctionCall) this.hasUnknown = true;
    else this.extent = this.#readFrames(buffer, start - HEADER_BYTES, facts);
  }

  /** Nothing is read of what is there in part only: it is read when all of it is there, and once. */
  #readFrames(buffer: Buffer, from: number, facts: TextFacts): Extent {
    const extent = this.#extentOf(buffer, from);
    if (extent === Extent.Partial) return extent;
    for (let at = from; at < this.#end; ) {
      const next = at + 1 + buffer.readUInt32BE(at + 1);
      this.#readFrame(buffer.readUInt8(at), buffer, at + HEADER_BYTES, next, facts);
      at = next;
    }
    return extent;
  }

  /** Looks at headers only, and notes where that ends which can be read. */
  #extentOf(buffer: Buffer, from: number): Extent {
    const bytesMax = this.#bytesMax();
    let hasFlush = false;
    this.#end = from;
    for (;;) {
      const at = this.#end;
      if (buffer.length - at < HEADER_BYTES) {
        return hasFlush && at === buffer.length ? Extent.Flushed : Extent.Partial;
      }
      const type = buffer.readUInt8(at);
      const next = at + 1 + buffer.readUInt32BE(at + 1);
      if (next - from > bytesMax) return Extent.TooLong;
      if (next > buffer.length) return Extent.Partial;
      if (type === Frontend.Sync) return Extent.Whole;
      // COPY data, and what does not belong here.
      if (!OF_A_BATCH.has(type)) return Extent.Flushed;
      hasFlush ||= type === Frontend.Flush;
      this.#end = next;
    }
  }

  #readFrame(type: number, buffer: Buffer, start: number, end: number, facts: TextFacts): void {
    switch (type) {
      case Frontend.Parse: {
        const parse = readParse(buffer, start, end);
        if (parse === null) this.hasUnknown = true;
        else {
          if (parse.name !== '') {
            this.#addName(parse.name);
            this.parses += 1;
          }
          this.parseBytes += end - start + HEADER_BYTES;
          this.#parsed.set(parse.name, this.#addText(buffer, parse.textStart, parse.textEnd, facts));
        }
        return;
      }
      case Frontend.Bind: {
        this.executes = true;
        const names = readBindNames(buffer, start, end);
        if (names === null) this.hasUnknown = true;
        else this.#addPrepared(names[1], facts);
        return;
      }
      case Frontend.Describe:
        if (buffer[start] === STATEMENT) this.#addPrepared(readName(buffer, start + 1, end) ?? '', facts);
        return;
      case Frontend.Execute:
        this.executes = true;
        return;
      case Frontend.Close:
        if (buffer[start] === STATEMENT) this.#closed.add(readName(buffer, start + 1, end) ?? '');
        return;
      default:
    }
  }

  #addText(buffer: Buffer, start: number, end: number, facts: TextFacts): Analysis {
    const analysis = this.#reader.analyze(buffer, start, end, facts);
    this.#add(analysis);
    if (this.#heedsHints) this.hint ??= readHint(buffer, start, end, facts.escapesInStrings);
    return analysis;
  }

  #add(analysis: Analysis): void {
    this.analyses.push(analysis);
    if (!addNeededNames(analysis, this.#analysisOf, this.#inTexts)) this.needsAll = true;
    for (const name of this.#inTexts) if (!this.names.includes(name)) this.names.push(name);
    for (const statement of analysis.statements) {
      if (asksSequences(statement)) this.asksSequences = true;
      if (statement.functions.length > 0 && statement.functions.some(isOfNumbers)) this.takesNumbers = true;
    }
  }

  #isMentioned(name: string): boolean {
    return this.#inTexts.includes(name) || this.#parsed.has(name) || this.#closed.has(name);
  }

  #addName(name: string): void {
    if (!this.#closed.has(name) && !this.names.includes(name)) this.names.push(name);
  }

  #addPrepared(name: string, facts: TextFacts): void {
    // What the unit has parsed itself is there already.
    if (this.#parsed.has(name)) return;
    this.#addName(name);
    if (name !== '') this.#bound.push(name);
    const analysis = this.#reader.analysisOf(name);
    if (analysis === null) this.hasUnknown = true;
    else {
      this.#add(analysis);
    }
    if (this.#heedsHints) this.hint ??= this.#reader.hintOf(name, facts);
  }
}

function isOfNumbers(name: string): boolean {
  return name === 'nextval' || name === 'setval';
}

function asksSequences({ effects }: StatementAnalysis): boolean {
  for (const effect of effects) if (effect.kind === 'pin' && effect.reason === PinReason.SequenceState) return true;
  return false;
}

/** Cheaper than to set the length, most of all where there is nothing. */
function empty(list: unknown[]): void {
  while (list.length > 0) list.pop();
}
