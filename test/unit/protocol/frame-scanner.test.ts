import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collectAll, collectTable, FrameScanner, NOT_READ, Verdict } from '../../../src/protocol/frame-scanner.js';
import type { FrameHandler } from '../../../src/protocol/frame-scanner.js';
import { frame, FrameRecorder } from '../../support/frame-recorder.js';

const LENGTH_MAX = 1000;
const A = 'A'.charCodeAt(0);
const B = 'B'.charCodeAt(0);

function forwarding(collected = collectTable({})): FrameRecorder {
  return new FrameRecorder(collected, LENGTH_MAX, () => Verdict.Forward);
}

test('reads a body only when its type is wanted and it is no longer than wanted', () => {
  const recorder = forwarding(collectTable({ [A]: 3 }));
  recorder.scanner.push(Buffer.concat([frame('A', ''), frame('A', 'abc'), frame('A', 'abcd'), frame('B', 'abc')]));
  assert.deepEqual(recorder.said, [
    { call: 'frame', type: A, bodyBytes: 0, body: '' },
    { call: 'frame', type: A, bodyBytes: 3, body: 'abc' },
    { call: 'frame', type: A, bodyBytes: 4, body: null },
    { call: 'frame', type: B, bodyBytes: 3, body: null },
  ]);
});

test('a table can want every type', () => {
  const recorder = forwarding(collectAll(5));
  recorder.scanner.push(Buffer.concat([frame(0, '12345'), frame(255, '123456')]));
  assert.deepEqual(
    recorder.said.map((said) => (said.call === 'frame' ? said.body : said)),
    ['12345', null],
  );
});

test('asks about a frame whose body is not wanted as soon as its header is there', () => {
  const recorder = forwarding();
  recorder.scanner.push(frame('D', 'x'.repeat(100)).subarray(0, 5));
  assert.equal(recorder.frames, 1);
  assert.ok(recorder.scanner.isInsideForwardedFrame);
});

test('asks about a frame whose body is wanted only when it is whole', () => {
  const recorder = forwarding(collectAll(100));
  const bytes = frame('Q', 'select 1');
  recorder.scanner.push(bytes.subarray(0, -1));
  assert.equal(recorder.frames, 0);
  assert.ok(!recorder.scanner.isAtRest);
  assert.ok(!recorder.scanner.isInsideForwardedFrame, 'nothing of it has gone out');
  recorder.scanner.push(bytes.subarray(-1));
  assert.equal(recorder.frames, 1);
  assert.ok(recorder.scanner.isAtRest);
});

test('frames that lie side by side go out in one run, which is a view of the chunk', () => {
  const chunk = Buffer.concat([frame('D', 'row 1'), frame('D', 'row 2'), frame('C', 'SELECT 2')]);
  const runs: [Buffer, number, number][] = [];
  const handler: FrameHandler = {
    onFrame: () => Verdict.Forward,
    onRun: (...run) => void runs.push(run),
    onFlushed: () => assert.fail('nothing was to be flushed'),
    onViolation: assert.fail,
  };
  new FrameScanner(collectTable({}), LENGTH_MAX, handler).push(chunk);
  assert.equal(runs.length, 1);
  assert.equal(runs[0]?.[0], chunk);
  assert.deepEqual(runs[0]?.slice(1), [0, chunk.length]);
});

test('frames that go out alike are asked for once in each input', () => {
  const recorder = new FrameRecorder(collectTable({}), 1000, () => Verdict.ForwardAlike);
  const [row, end] = [frame('D', 'row'), frame('C', 'end')];
  recorder.scanner.push(Buffer.concat([row, row, row, end, row, row.subarray(0, 6)]));
  assert.deepEqual(recorder.frames, 4);
  recorder.scanner.push(Buffer.concat([row.subarray(6), row, row]));
  assert.equal(recorder.frames, 5);
  assert.deepEqual(recorder.out, Buffer.concat([row, row, row, end, row, row, row, row]));
});

test('a flush comes behind the last byte of its frame and before the next frame', () => {
  const calls: string[] = [];
  const handler: FrameHandler = {
    onFrame: (type) => {
      calls.push(`frame ${String.fromCharCode(type)}`);
      return type === A ? Verdict.ForwardAndFlush : Verdict.Drop;
    },
    onRun: (buffer, start, end) => void calls.push(`run ${buffer.toString('latin1', start + 5, end)}`),
    onFlushed: (type) => void calls.push(`flushed ${String.fromCharCode(type)}`),
    onViolation: assert.fail,
  };
  const scanner = new FrameScanner(collectTable({}), LENGTH_MAX, handler);
  scanner.push(Buffer.concat([frame('A', 'one'), frame('B', 'two'), frame('A', '')]));
  assert.deepEqual(calls, ['frame A', 'run one', 'flushed A', 'frame B', 'flushed B', 'frame A', 'run ', 'flushed A']);
});

test('a frame that is dropped half-way leaves no trace, and nothing may not be put between', () => {
  const recorder = new FrameRecorder(collectTable({}), LENGTH_MAX, (type) =>
    type === A ? Verdict.Drop : Verdict.Forward,
  );
  recorder.scanner.push(frame('A', 'secret').subarray(0, 8));
  assert.ok(!recorder.scanner.isInsideForwardedFrame);
  assert.ok(!recorder.scanner.isAtRest);
  recorder.scanner.push(Buffer.concat([frame('A', 'secret').subarray(8), frame('B', 'open')]));
  assert.deepEqual(recorder.out, frame('B', 'open'));
});

test('knows that a frame has gone out in part until its last byte has gone', () => {
  const recorder = forwarding();
  const bytes = frame('D', 'abc');
  recorder.scanner.push(bytes.subarray(0, 4));
  assert.ok(!recorder.scanner.isInsideForwardedFrame, 'a header that is not whole is kept back');
  assert.deepEqual(recorder.out, Buffer.alloc(0));
  recorder.scanner.push(bytes.subarray(4, 7));
  assert.ok(recorder.scanner.isInsideForwardedFrame);
  recorder.scanner.push(bytes.subarray(7));
  assert.ok(!recorder.scanner.isInsideForwardedFrame);
});

test('a frame that was left unread is asked for again by resume, with all that came meanwhile', () => {
  let verdict: Verdict = Verdict.Stop;
  const recorder = new FrameRecorder(collectTable({}), LENGTH_MAX, () => verdict);
  recorder.scanner.push(frame('A', 'one'));
  recorder.scanner.push(frame('B', 'two').subarray(0, 6));
  assert.ok(recorder.scanner.isStopped);
  assert.equal(recorder.frames, 1);
  recorder.scanner.resume();
  assert.equal(recorder.frames, 2, 'asked again, and stopped again');
  assert.ok(recorder.scanner.isStopped);
  verdict = Verdict.Forward;
  recorder.scanner.resume();
  recorder.scanner.push(frame('B', 'two').subarray(6));
  assert.deepEqual(recorder.out, Buffer.concat([frame('A', 'one'), frame('B', 'two')]));
});

test('a chunk that is left unread as a whole is neither copied nor another object when it is asked for again', () => {
  const asked: Buffer[] = [];
  const handler: FrameHandler = {
    onFrame: (_type, buffer) => (asked.push(buffer) < 3 ? Verdict.Stop : Verdict.Forward),
    onRun: (buffer) => void asked.push(buffer),
    onFlushed: () => {},
    onViolation: (why) => assert.fail(why),
  };
  const scanner = new FrameScanner(collectTable({}), LENGTH_MAX, handler);
  const chunk = frame('A', 'one');
  scanner.push(chunk);
  scanner.resume();
  scanner.resume();
  assert.equal(asked.length, 4);
  assert.ok(asked.every((buffer) => buffer === chunk));
});

test('a scanner that is paused before the first chunk takes nothing until resume', () => {
  const recorder = forwarding();
  recorder.scanner.pause();
  recorder.scanner.push(frame('A', 'one'));
  recorder.scanner.push(frame('B', 'two'));
  assert.equal(recorder.frames, 0);
  assert.ok(!recorder.scanner.isAtRest);
  recorder.scanner.resume();
  assert.equal(recorder.frames, 2);
  assert.ok(recorder.scanner.isAtRest);
});

test('a scanner that is paused in the middle of a frame goes on in the middle of it', () => {
  const recorder = forwarding();
  const bytes = frame('D', 'abcdef');
  recorder.scanner.push(bytes.subarray(0, 7));
  recorder.scanner.pause();
  recorder.scanner.push(Buffer.concat([bytes.subarray(7), frame('Z', 'I')]));
  assert.deepEqual(recorder.out, bytes.subarray(0, 7));
  recorder.scanner.resume();
  assert.deepEqual(recorder.out, Buffer.concat([bytes, frame('Z', 'I')]));
});

test('resume on a scanner that is not stopped, and an empty chunk, do nothing', () => {
  const recorder = forwarding();
  recorder.scanner.resume();
  recorder.scanner.push(Buffer.alloc(0));
  recorder.scanner.push(frame('A', 'abc').subarray(0, 6));
  recorder.scanner.push(Buffer.alloc(0));
  recorder.scanner.resume();
  recorder.scanner.push(frame('A', 'abc').subarray(6));
  assert.equal(recorder.frames, 1);
  assert.deepEqual(recorder.out, frame('A', 'abc'));
});

for (const length of [0, 1, 3, LENGTH_MAX + 1, 0x7fffffff, 0x80000000, 0xffffffff]) {
  test(`a length of ${length} is a violation, behind which nothing is taken`, () => {
    const recorder = forwarding();
    const header = frame('Q');
    header.writeUInt32BE(length, 1);
    recorder.scanner.push(Buffer.concat([frame('A', 'good'), header, frame('A', 'lost')]));
    recorder.scanner.push(frame('A', 'lost too'));
    assert.deepEqual(recorder.runs, [frame('A', 'good').toString('latin1')]);
    assert.deepEqual(recorder.said.slice(1), [
      { call: 'violation', message: `invalid message length ${length} of message type 0x51` },
    ]);
    assert.ok(recorder.scanner.isAtRest);
  });
}

test('the longest message that is allowed is taken', () => {
  const recorder = forwarding();
  const bytes = frame('d', 'x'.repeat(LENGTH_MAX - 4));
  recorder.scanner.push(bytes);
  assert.deepEqual(recorder.out, bytes);
});

test('close forgets what was kept, and a closed scanner takes nothing', () => {
  const recorder = forwarding(collectAll(100));
  recorder.scanner.push(frame('A', 'abc').subarray(0, 6));
  assert.ok(!recorder.scanner.isAtRest);
  recorder.scanner.close();
  assert.ok(recorder.scanner.isAtRest);
  recorder.scanner.push(frame('A', 'abc'));
  recorder.scanner.resume();
  assert.equal(recorder.frames, 0);
});

test('a scanner can be closed inside a run that goes out before a flush', () => {
  const recorder = new FrameRecorder(collectTable({}), LENGTH_MAX, () => Verdict.ForwardAndFlush);
  const handler: FrameHandler = {
    onFrame: () => Verdict.ForwardAndFlush,
    onRun: () => recorder.scanner.close(),
    onFlushed: () => assert.fail('flushed behind close'),
    onViolation: assert.fail,
  };
  recorder.scanner.handler = handler;
  recorder.scanner.push(frame('A', 'abc'));
});

test('the body that is passed is borrowed, and no byte of it is read when it is not wanted', () => {
  let seen: [number, number] | null = null;
  const handler: FrameHandler = {
    onFrame: (_type, _buffer, start, end) => {
      seen = [start, end];
      return Verdict.Drop;
    },
    onRun: () => assert.fail('a run'),
    onFlushed: () => {},
    onViolation: assert.fail,
  };
  new FrameScanner(collectTable({}), LENGTH_MAX, handler).push(frame('A', 'abc'));
  assert.deepEqual(seen, [5, NOT_READ]);
});
