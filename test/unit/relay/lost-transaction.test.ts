import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorResponse } from '../../../src/protocol/backend-messages.js';
import { Frontend } from '../../../src/protocol/codes.js';
import { LostTransaction } from '../../../src/relay/lost-transaction.js';
import type { LostWords } from '../../../src/relay/lost-transaction.js';
import { TransactionEnd } from '../../../src/relay/relay.js';
import type { RelayOwner } from '../../../src/relay/relay.js';
import { frontend as say } from '../../support/raw-messages.js';

const news = errorResponse({ severity: 'ERROR', sqlState: '40001', message: 'lost' });
const doubt = errorResponse({ severity: 'ERROR', sqlState: '08007', message: 'in doubt' });

const ends: Readonly<Record<string, TransactionEnd>> = {
  commit: TransactionEnd.Commit,
  rollback: TransactionEnd.Rollback,
  'commit and chain': TransactionEnd.Chained,
  'commit; begin': TransactionEnd.CommitFirst,
  'rollback; begin': TransactionEnd.RollbackFirst,
};

/** A client in a lost transaction; what it hears is one word for each message: the type, the SQLSTATE, the tag or the status. */
class Client {
  readonly noted: string[] = [];
  reopened = 0;
  #heard: string[] = [];
  readonly #lost: LostTransaction;
  #prepared = '';

  constructor(words: LostWords) {
    const owner: Partial<RelayOwner> = {
      transactionEnd: (type, buffer, start, end) => this.#endOf(type, buffer, start, end),
      onClientFrame: (type) => void this.noted.push(String.fromCharCode(type)),
      onAcknowledged: (type) => void this.noted.push(String.fromCharCode(type)),
      onCommandEnd: (_type, buffer, start, end) => void this.noted.push(buffer.toString('latin1', start, end - 1)),
      onCommandFailed: () => void this.noted.push('failed'),
      onSubstituteEnd: () => void this.noted.push('end'),
      onTransactionReopened: () => {
        this.reopened += 1;
      },
    };
    this.#lost = new LostTransaction(owner as RelayOwner, (messages) => this.#hear(messages));
    this.#lost.begin(words);
  }

  get isActive(): boolean {
    return this.#lost.isActive;
  }

  /** Sends frames and gives what was heard; `node` for a frame that was not answered. */
  send(...frames: readonly Buffer[]): string {
    this.#heard = [];
    for (const frame of frames) {
      if (!this.#lost.isActive || !this.#lost.take(frame.readUInt8(0), frame, 5, frame.length))
        this.#heard.push('node');
    }
    return this.#heard.join(' ');
  }

  #endOf(type: number, buffer: Buffer, start: number, end: number): TransactionEnd | null {
    const text = buffer.toString('latin1', start, end);
    if (type === Frontend.Query) return ends[text.slice(0, -1)] ?? null;
    if (type === Frontend.Parse) this.#prepared = text.split('\0')[1] ?? '';
    return ends[this.#prepared] ?? null;
  }

  #hear(messages: Buffer): void {
    for (let at = 0; at < messages.length; at += 1 + messages.readInt32BE(at + 1)) {
      const body = messages.subarray(at + 5, at + 1 + messages.readInt32BE(at + 1));
      const type = String.fromCharCode(messages[at] ?? 0);
      if (type === 'E') this.#heard.push(/\0C(\w{5})/.exec(body.toString('latin1'))?.[1] ?? 'E');
      else this.#heard.push(type + (type === 'C' || type === 'Z' ? body.toString('latin1').replace('\0', '') : ''));
    }
  }
}

const told: LostWords = { news: null, onCommit: null };
const untold: LostWords = { news, onCommit: null };
const batch = (sql: string): Buffer[] => [say.parse(sql), say.bind(), say.describe('P'), say.execute(), say.sync()];

test('the client is told once, then waits in state E, and ROLLBACK ends it', () => {
  const client = new Client(untold);
  assert.equal(client.send(say.query('select 1')), '40001 ZE');
  assert.equal(client.send(say.query('select 1')), '25P02 ZE');
  assert.equal(client.send(...batch('select 1')), '25P02 ZE');
  assert.equal(client.isActive, true);
  assert.equal(client.send(say.query('rollback')), 'CROLLBACK ZI');
  assert.equal(client.isActive, false);
  assert.equal(client.send(say.query('select 1')), 'node');
});

test('ROLLBACK needs no news', () => {
  const client = new Client(untold);
  assert.equal(client.send(say.query('rollback')), 'CROLLBACK ZI');
  assert.equal(client.isActive, false);
});

test('COMMIT of a transaction whose loss the client does not know fails, and is the end of it', () => {
  const client = new Client(untold);
  assert.equal(client.send(say.query('commit')), '40001 ZI');
  assert.equal(client.isActive, false);
});

test('COMMIT of a transaction that the client knows to be lost rolls it back, as on a node', () => {
  assert.equal(new Client(told).send(say.query('commit')), 'CROLLBACK ZI');
});

test('COMMIT whose outcome is not known says so', () => {
  assert.equal(new Client({ news, onCommit: doubt }).send(say.query('commit')), '08007 ZI');
  assert.equal(new Client({ news: null, onCommit: doubt }).send(...batch('commit')), '1 2 n 08007 ZI');
});

test('the same in the extended protocol', () => {
  const client = new Client(untold);
  assert.equal(client.send(...batch('select 1')), '40001 ZE');
  assert.equal(client.send(say.parse('rollback'), say.describe('S'), say.sync()), '1 t n ZE');
  assert.equal(client.send(say.bind(), say.execute(), say.sync()), '2 CROLLBACK ZI');
  assert.equal(client.isActive, false);
  assert.equal(new Client(untold).send(...batch('commit')), '1 2 n 40001 ZI');
});

test('what stands behind the end of the transaction in the same batch is refused', () => {
  const client = new Client(told);
  assert.equal(
    client.send(...batch('rollback').slice(0, -1), say.parse('select 1'), say.bind(), say.sync()),
    '1 2 n CROLLBACK 25P02 ZI',
  );
  assert.equal(client.isActive, false);
});

test('a transaction that is gone cannot be chained', () => {
  const client = new Client(told);
  assert.equal(client.send(say.query('commit and chain')), '25P02 ZE');
  assert.equal(client.send(...batch('commit and chain')), '25P02 ZE');
  assert.equal(client.isActive, true);
});

test('a string that rolls back and goes on is for a node, in a transaction', () => {
  const client = new Client(untold);
  assert.equal(client.send(say.query('rollback; begin')), 'node');
  assert.deepEqual([client.isActive, client.reopened, client.noted.length], [false, 1, 0]);
});

test('a string that commits and goes on is refused whole, and the transaction is over', () => {
  assert.equal(new Client(untold).send(say.query('commit; begin')), '40001 ZI');
  assert.equal(new Client(told).send(say.query('commit; begin')), '25P02 ZI');
});

test('Close and Sync are answered, Flush and COPY data are not, Terminate is for the session', () => {
  const client = new Client(untold);
  assert.equal(client.send(say.close('S', 'a'), say.flush(), say.copyData('x'), say.copyDone(), say.sync()), '3 ZE');
  assert.equal(client.send(say.terminate()), 'node');
  assert.equal(client.isActive, true);
});

test('the session hears of everything that was done in the place of a node', () => {
  const client = new Client(untold);
  client.send(say.query('select 1'));
  client.send(...batch('rollback'));
  assert.deepEqual(client.noted, ['Q', 'failed', 'end', 'P', '1', 'B', 'E', 'ROLLBACK', 'S', 'end']);
});
