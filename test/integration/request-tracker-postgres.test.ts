import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import * as fc from 'fast-check';
import { Reply, RequestTracker } from '../../src/protocol/request-tracker.js';
import { BackendModel, conversation } from '../support/conversation.js';
import type { EarlySyncs, Move } from '../support/conversation.js';
import { conversationTables, messageOf } from '../support/conversation-messages.js';
import { sql, startPostgres } from '../support/postgres-server.js';
import { RawClient } from '../support/raw-client.js';
import { backend, frontend } from '../support/raw-messages.js';
import type { RawMessage } from '../support/raw-messages.js';
import { roles } from '../support/roles.js';

const RUNS = 300;

async function connect(t: TestContext): Promise<RawClient> {
  const server = await startPostgres(t);
  await sql(server, conversationTables);
  const client = await RawClient.login({ port: server.port, ...roles.superuser });
  t.after(() => client.destroy());
  return client;
}

/** A client whose every message is told to a tracker. */
class Tracked {
  readonly tracker = new RequestTracker();
  readonly #client: RawClient;
  /** Types of what came. */
  heard = '';

  constructor(client: RawClient) {
    this.#client = client;
  }

  send(type: string, isOwn: boolean, bytes: Buffer): void {
    this.tracker.sent(type.charCodeAt(0), isOwn);
    this.#client.send(bytes);
  }

  async hear(): Promise<RawMessage> {
    const message = await this.#client.read();
    assert.ok(message !== null, `the server closed the connection after ${this.heard}`);
    const reply = this.tracker.received(message.type.charCodeAt(0));
    assert.notEqual(reply, Reply.Violation, `${message.type} after ${this.heard}`);
    this.heard += message.type;
    return message;
  }

  /** Takes what has come, and what comes at once. */
  async hearAll(): Promise<void> {
    while (!(await this.#client.isSilentFor(1))) await this.hear();
  }
}

/** Sends a conversation, reading after every burst of messages, and a question at its end. Tells what came before the last answer. */
async function converse(client: RawClient, moves: readonly Move[], bursts: readonly number[]): Promise<string> {
  const tracked = new Tracked(client);
  let at = 0;
  for (const length of [...bursts, moves.length]) {
    for (const move of moves.slice(at, at + length)) tracked.send(move.type, move.isOwn, messageOf(move));
    at += length;
    if (at < moves.length) await tracked.hearAll();
  }
  tracked.send('Q', false, frontend.query("select 'the end'"));
  for (let isAnswer = false; ; ) {
    const { type, body } = await tracked.hear();
    if (type === 'D') isAnswer = backend.dataRow(body)[0] === 'the end';
    if (isAnswer && type === 'Z') break;
  }
  assert.ok(tracked.tracker.isEmpty, 'something is owed still');
  assert.ok(!tracked.tracker.isUnitOpen);
  assert.ok(tracked.heard.endsWith('TDCZ'));
  return tracked.heard.slice(0, -'TDCZ'.length);
}

const bursts = fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 4 });

for (const earlySyncs of ['ignored', 'any'] as const satisfies EarlySyncs[]) {
  test(`PostgreSQL answers as the model of the tests does, and the tracker follows it (early Syncs: ${earlySyncs})`, async (t) => {
    const client = await connect(t);
    await fc.assert(
      fc.asyncProperty(conversation(earlySyncs), bursts, async (moves, cuts) => {
        assert.equal(await converse(client, moves, cuts), new BackendModel().foresee(moves));
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
  });
}
