import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Reply, RequestTracker } from '../../src/protocol/request-tracker.js';
import { BackendModel, conversation } from '../support/conversation.js';
import type { Move } from '../support/conversation.js';

const RUNS = 4000;

/** Messages move on one by one, or the backend says something that nobody asked for. */
type Step = 'send' | 'work' | 'hear' | 'A' | 'S';

/** A message of the backend on its way to the proxy, with the right verdict on it. */
interface Said {
  readonly type: string;
  readonly reply: Reply;
}

/** A client, the tracker, and a backend, with the messages between them on their way for as long as the test likes. */
class Wire {
  readonly tracker = new RequestTracker();
  readonly #backend = new BackendModel();
  readonly #unsent: Move[];
  readonly #underWay: Move[] = [];
  readonly #said: Said[] = [];
  readonly #areLateReadiesAllowed: boolean;

  constructor(moves: readonly Move[], areLateReadiesAllowed: boolean) {
    this.#unsent = [...moves];
    this.#areLateReadiesAllowed = areLateReadiesAllowed;
  }

  get isDone(): boolean {
    return this.#unsent.length === 0 && this.#underWay.length === 0 && this.#said.length === 0;
  }

  /** An answer is on its way, or will be when the backend has worked on what it has got, or at the end of its COPY. */
  get isAnswerDue(): boolean {
    return (
      this.#said.some((said) => said.reply !== Reply.Unsolicited) ||
      this.#backend.foresee(this.#underWay) !== '' ||
      this.#backend.isCopyIn
    );
  }

  /** The next message goes out. */
  send(): void {
    const move = this.#unsent.shift();
    if (move === undefined) return;
    this.tracker.sent(move.type.charCodeAt(0), move.isOwn);
    this.#underWay.push(move);
  }

  /** The backend works on one message. */
  work(): void {
    const move = this.#underWay.shift();
    if (move === undefined) return;
    const reply = move.isOwn ? Reply.Swallow : Reply.Forward;
    for (const type of this.#backend.take(move)) this.#said.push({ type, reply });
  }

  /** The proxy hears one message. */
  hear(): void {
    const said = this.#said.shift();
    if (said === undefined) return;
    const reply = this.tracker.received(said.type.charCodeAt(0));
    // A late ReadyForQuery of the client that meets a question of ours is not told.
    if (this.#areLateReadiesAllowed && said.type === 'Z' && reply === Reply.Swallow) return;
    assert.equal(reply, said.reply, `verdict on ${said.type}`);
  }

  /** The backend says something that nobody asked for. */
  say(type: string): void {
    this.#said.push({ type, reply: Reply.Unsolicited });
  }

  step(what: Step): void {
    if (what === 'A' || what === 'S') this.say(what);
    else this[what]();
  }

  finish(afterEach: () => void): void {
    while (!this.isDone) {
      for (const what of ['hear', 'work', 'send'] as const) {
        this.step(what);
        afterEach();
      }
    }
  }
}

const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom<Step[]>('send', 'send', 'work', 'hear') },
    { weight: 1, arbitrary: fc.constantFrom<Step[]>('A', 'S') },
  ),
  { maxLength: 60 },
);

for (const earlySyncs of ['none', 'ignored'] as const) {
  test(`the tracker is empty exactly when the backend owes nothing, and every verdict is right (early Syncs: ${earlySyncs})`, () => {
    fc.assert(
      fc.property(conversation(earlySyncs), steps, (moves, taken) => {
        const wire = new Wire(moves, false);
        const check = (): void => assert.equal(wire.tracker.isEmpty, !wire.isAnswerDue);
        for (const what of taken) {
          wire.step(what);
          check();
        }
        wire.finish(check);
        assert.ok(wire.tracker.isEmpty);
        assert.ok(!wire.tracker.isUnitOpen);
      }),
      { numRuns: RUNS },
    );
  });
}

test('a Sync that a failed COPY may have ignored is never taken for a violation nor waited for', () => {
  const question: readonly Move[] = [
    { type: 'Q', what: 'select', isOwn: false },
    { type: 'Q', what: 'insert', isOwn: true },
  ];
  fc.assert(
    fc.property(conversation('any'), steps, (moves, taken) => {
      const wire = new Wire([...moves, ...question], true);
      for (const what of taken) wire.step(what);
      wire.finish(() => {
        if (!wire.isAnswerDue) assert.ok(wire.tracker.isEmpty);
      });
      assert.ok(!wire.tracker.isUnitOpen);
    }),
    { numRuns: RUNS },
  );
});
