import { FrameScanner, NOT_READ, Verdict } from '../../src/protocol/frame-scanner.js';
import type { CollectTable, FrameHandler } from '../../src/protocol/frame-scanner.js';

/** One thing that a scanner said: a frame, a flush, or the bytes that went out between two of them. */
export type Said =
  | { readonly call: 'frame'; readonly type: number; readonly bodyBytes: number; readonly body: string | null }
  | { readonly call: 'flushed'; readonly type: number }
  | { readonly call: 'violation'; readonly message: string };

/** Writes down what a scanner says, and answers as told. */
export class FrameRecorder implements FrameHandler {
  readonly said: Said[] = [];
  /** Bytes that went out before the flush of the same index in `said`, and behind the last. */
  readonly runs: string[] = [];
  readonly scanner: FrameScanner;
  #open: Buffer[] = [];
  /** Called for every frame with its type and how many there were before it. */
  readonly #answer: (type: number, index: number) => Verdict;
  #frames = 0;

  constructor(collect: CollectTable, lengthMax: number, answer: (type: number, index: number) => Verdict) {
    this.#answer = answer;
    this.scanner = new FrameScanner(collect, lengthMax, this);
  }

  /** Frames asked for so far, those asked for again after a stop included. */
  get frames(): number {
    return this.#frames;
  }

  /** Everything that went out. */
  get out(): Buffer {
    return Buffer.concat([...this.runs.map((run) => Buffer.from(run, 'latin1')), ...this.#open]);
  }

  onFrame(type: number, buffer: Buffer, start: number, end: number, bodyBytes: number): Verdict {
    const body = end === NOT_READ ? null : buffer.toString('latin1', start, end);
    const verdict = this.#answer(type, this.#frames);
    this.#frames += 1;
    if (verdict !== Verdict.Stop) this.said.push({ call: 'frame', type, bodyBytes, body });
    return verdict;
  }

  onRun(buffer: Buffer, start: number, end: number): void {
    this.#open.push(buffer.subarray(start, end));
  }

  onFlushed(type: number): void {
    this.#endRun();
    this.said.push({ call: 'flushed', type });
  }

  onViolation(message: string): void {
    this.#endRun();
    this.said.push({ call: 'violation', message });
  }

  /** What was said and what went out, in a form that two ways of cutting the same input must have in common. */
  summary(): { readonly said: readonly Said[]; readonly runs: readonly string[]; readonly rest: string } {
    return { said: this.said, runs: this.runs, rest: Buffer.concat(this.#open).toString('latin1') };
  }

  #endRun(): void {
    this.runs.push(Buffer.concat(this.#open).toString('latin1'));
    this.#open = [];
  }
}

/** A frame as it is on the wire. */
export function frame(type: number | string, body: string | Buffer = ''): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  const out = Buffer.alloc(5 + bytes.length);
  out.writeUInt8(typeof type === 'string' ? type.charCodeAt(0) : type, 0);
  out.writeUInt32BE(4 + bytes.length, 1);
  bytes.copy(out, 5);
  return out;
}

/** Cuts a buffer at these places; each is taken modulo what is left. */
export function cut(input: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const length of lengths) {
    chunks.push(input.subarray(at, at + length));
    at += length;
    if (at >= input.length) break;
  }
  if (at < input.length) chunks.push(input.subarray(at));
  return chunks;
}
