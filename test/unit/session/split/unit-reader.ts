import { NOT_READ } from '../../../../src/protocol/frame-scanner.js';
import { UnitAhead } from '../../../../src/session/split/unit-ahead.js';
import type { TextReader } from '../../../../src/session/split/unit-ahead.js';
import type { Analysis } from '../../../../src/sql/analysis.js';
import { readHint } from '../../../../src/sql/hint.js';
import { analyzer } from '../state/conversation-state.js';

const HEADER_BYTES = 5;
const facts = { clientEncoding: 'UTF8', escapesInStrings: false };

export function analyze(text: string): Analysis {
  const bytes = Buffer.from(text);
  return analyzer.analyze(bytes, 0, bytes.length, facts);
}

/** Reads units ahead for a session that has prepared these statements, by their names. */
export class UnitReader {
  readonly ahead: UnitAhead;
  bytesMax = 1 << 20;

  constructor(prepared: Readonly<Record<string, string>> = {}) {
    const textOf = (name: string): string | null => (Object.hasOwn(prepared, name) ? (prepared[name] ?? null) : null);
    const reader: TextReader = {
      analyze: (buffer, start, end) => analyzer.analyze(buffer, start, end, facts),
      analysisOf: (name) => {
        const text = textOf(name);
        return text === null ? null : analyze(text);
      },
      hintOf: (name) => {
        const text = Buffer.from(textOf(name) ?? '');
        return readHint(text, 0, text.length, false);
      },
    };
    this.ahead = new UnitAhead(reader, () => this.bytesMax);
  }

  /** Reads the unit that begins `at` these bytes. */
  read(bytes: Buffer, at = 0): UnitAhead {
    const end = at + 1 + bytes.readUInt32BE(at + 1);
    this.ahead.read(bytes.readUInt8(at), bytes, at + HEADER_BYTES, end > bytes.length ? NOT_READ : end, facts);
    return this.ahead;
  }

  frames(...frames: readonly Buffer[]): UnitAhead {
    return this.read(Buffer.concat(frames));
  }
}

/** Everything that is said of a unit. */
export function saidOf(ahead: UnitAhead): unknown {
  const { analyses, names, extent, hasUnknown, executes, hint, parses, parseBytes } = ahead;
  return {
    texts: analyses.map(({ template }) => template),
    names: [...names],
    extent,
    hasUnknown,
    executes,
    hint,
    parses,
    parseBytes,
  };
}
