import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Verdict } from '../../src/protocol/frame-scanner.js';
import { cut, frame, FrameRecorder } from '../support/frame-recorder.js';

const RUNS = 1000;
const COLLECT_MAX = 40;
const LENGTH_MAX = 100_000;

/** Sizes around every limit: none, the header's, the wanted size, larger than a chunk. */
const bodies = fc.oneof(
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 8 }) },
  { weight: 3, arbitrary: fc.uint8Array({ minLength: COLLECT_MAX - 2, maxLength: COLLECT_MAX + 2 }) },
  { weight: 1, arbitrary: fc.nat({ max: 3000 }).map((length) => new Uint8Array(length).fill(length)) },
);
const frames = fc.array(
  fc.tuple(fc.nat({ max: 255 }), bodies).map(([type, body]) => frame(type, Buffer.from(body))),
  { maxLength: 12 },
);
/** By type byte: what is wanted of a body, and what becomes of the frame. */
const collect = fc
  .array(fc.constantFrom(0, 0, 1, COLLECT_MAX), { minLength: 256, maxLength: 256 })
  .map((wanted) => Uint32Array.from(wanted));
const verdicts = fc.array(fc.constantFrom(Verdict.Forward, Verdict.Forward, Verdict.ForwardAndFlush, Verdict.Drop), {
  minLength: 256,
  maxLength: 256,
});
const cuts = fc.oneof(
  fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 200 }),
  fc.constant(Array.from({ length: 20_000 }, () => 1)),
);
/** A half message at the end, as a stream that was cut has. */
const tails = fc.oneof(
  fc.constant(Buffer.alloc(0)),
  fc.tuple(bodies, fc.nat({ max: 60 })).map(([body, n]) => frame(1, Buffer.from(body)).subarray(0, n)),
);

test('every way of cutting the input gives the same frames, the same flushes and the same bytes between them', () => {
  fc.assert(
    fc.property(frames, tails, collect, verdicts, cuts, (sent, tail, wanted, answers, lengths) => {
      const input = Buffer.concat([...sent, tail]);
      const answer = (type: number): Verdict => answers[type] ?? Verdict.Forward;
      const whole = new FrameRecorder(wanted, LENGTH_MAX, answer);
      whole.scanner.push(Buffer.from(input));
      const pieces = new FrameRecorder(wanted, LENGTH_MAX, answer);
      for (const chunk of cut(input, lengths)) pieces.scanner.push(Buffer.from(chunk));
      assert.deepEqual(pieces.summary(), whole.summary());
      assert.equal(pieces.scanner.isAtRest, whole.scanner.isAtRest);
      assert.equal(pieces.scanner.isInsideForwardedFrame, whole.scanner.isInsideForwardedFrame);
    }),
    { numRuns: RUNS },
  );
});

test('the bytes that go out are those of the frames that are not dropped, and nothing is kept at rest', () => {
  fc.assert(
    fc.property(frames, collect, verdicts, cuts, (sent, wanted, answers, lengths) => {
      const recorder = new FrameRecorder(wanted, LENGTH_MAX, (type) => answers[type] ?? Verdict.Forward);
      for (const chunk of cut(Buffer.concat(sent), lengths)) recorder.scanner.push(Buffer.from(chunk));
      const kept = sent.filter((bytes) => answers[bytes[0] ?? 0] !== Verdict.Drop);
      assert.deepEqual(recorder.out, Buffer.concat(kept));
      assert.ok(recorder.scanner.isAtRest);
      assert.ok(!recorder.scanner.isInsideForwardedFrame);
    }),
    { numRuns: RUNS },
  );
});

test('a scanner that is stopped at any frame, as often as one likes, goes on as if it had never stopped', () => {
  fc.assert(
    fc.property(
      frames,
      collect,
      verdicts,
      cuts,
      fc.array(fc.nat({ max: 15 })),
      (sent, wanted, answers, lengths, stops) => {
        const input = Buffer.concat(sent);
        const answer = (type: number): Verdict => answers[type] ?? Verdict.Forward;
        const through = new FrameRecorder(wanted, LENGTH_MAX, answer);
        through.scanner.push(Buffer.from(input));

        const stopAt = new Set(stops);
        const stopping = new FrameRecorder(wanted, LENGTH_MAX, (type, index) =>
          stopAt.has(index) ? Verdict.Stop : answer(type),
        );
        for (const [index, chunk] of cut(input, lengths).entries()) {
          stopping.scanner.push(Buffer.from(chunk));
          // Some chunks arrive while it is stopped.
          if (index % 3 === 0) stopping.scanner.resume();
        }
        while (stopping.scanner.isStopped) stopping.scanner.resume();
        assert.deepEqual(stopping.summary(), through.summary());
        assert.ok(stopping.scanner.isAtRest);
      },
    ),
    { numRuns: RUNS },
  );
});

test('frames that go out alike cost no question, and everything else is as if they had all been asked for', () => {
  // Few types, so that many follow their like.
  const alike = fc.array(fc.nat({ max: 3 }), { maxLength: 30 });
  const wrong = fc.option(fc.integer({ min: LENGTH_MAX + 1, max: 0xffffffff }), { nil: null });
  fc.assert(
    fc.property(frames, alike, wrong, tails, collect, cuts, (some, types, length, tail, wanted, lengths) => {
      const header = Buffer.alloc(5, 2);
      header.writeUInt32BE(length ?? 4, 1);
      const input = Buffer.concat([...some, ...types.map((type) => frame(type, 'x'.repeat(type * 9))), header, tail]);
      const recorders = [Verdict.ForwardAlike, Verdict.Forward].map((likewise) => {
        const answers = [likewise, Verdict.ForwardAndFlush, likewise, Verdict.Drop];
        const recorder = new FrameRecorder(wanted, LENGTH_MAX, (type) => answers[type] ?? likewise);
        for (const chunk of cut(input, lengths)) recorder.scanner.push(Buffer.from(chunk));
        return recorder;
      });
      const [spared, asked] = recorders.map(({ runs, said, scanner }) => ({
        runs,
        said: said.filter(({ call }) => call !== 'frame'),
        frames: said.filter((what) => what.call === 'frame' && (what.type === 1 || what.type === 3)),
        state: [scanner.isAtRest, scanner.isInsideForwardedFrame],
      }));
      assert.deepEqual(spared, asked);
      assert.deepEqual(recorders[0]?.out, recorders[1]?.out);
      assert.ok((recorders[0]?.frames ?? 0) <= (recorders[1]?.frames ?? 0));
    }),
    { numRuns: RUNS },
  );
});

test('a wrong length is a violation at the same place for every way of cutting, and nothing is said behind it', () => {
  const wrong = fc.oneof(fc.nat({ max: 3 }), fc.integer({ min: LENGTH_MAX + 1, max: 0xffffffff }));
  fc.assert(
    fc.property(frames, wrong, frames, collect, verdicts, cuts, (before, length, behind, wanted, answers, lengths) => {
      const header = Buffer.alloc(5, 'X');
      header.writeUInt32BE(length, 1);
      const input = Buffer.concat([...before, header, ...behind]);
      const recorder = new FrameRecorder(wanted, LENGTH_MAX, (type) => answers[type] ?? Verdict.Forward);
      for (const chunk of cut(input, lengths)) recorder.scanner.push(Buffer.from(chunk));
      assert.equal(recorder.frames, before.length);
      assert.deepEqual(recorder.said.at(-1), {
        call: 'violation',
        message: `invalid message length ${length} of message type 0x58`,
      });
      assert.deepEqual(recorder.said.filter((said) => said.call === 'violation').length, 1);
    }),
    { numRuns: RUNS },
  );
});

test('a scanner that is closed inside any call says nothing more', () => {
  fc.assert(
    fc.property(frames, collect, verdicts, cuts, fc.nat({ max: 30 }), (sent, wanted, answers, lengths, callsMax) => {
      const recorder = new FrameRecorder(wanted, LENGTH_MAX, (type) => answers[type] ?? Verdict.Forward);
      const { scanner } = recorder;
      let calls = 0;
      const count = (): void => {
        assert.ok(calls < callsMax, 'a call behind close');
        calls += 1;
        if (calls === callsMax) scanner.close();
      };
      scanner.handler = {
        onFrame: (type) => {
          count();
          return answers[type] ?? Verdict.Forward;
        },
        onRun: count,
        onFlushed: count,
        onViolation: count,
      };
      if (callsMax === 0) scanner.close();
      for (const chunk of cut(Buffer.concat(sent), lengths)) scanner.push(Buffer.from(chunk));
      scanner.resume();
    }),
    { numRuns: RUNS },
  );
});
