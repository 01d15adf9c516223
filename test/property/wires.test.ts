import assert, { AssertionError } from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Engine } from '../../src/net/engine.js';
import type { Wire } from '../../src/net/wire.js';
import { Dice } from '../support/dice.js';
import { engines, pair } from '../unit/net/wire-lab.js';
import type { Heard } from '../unit/net/wire-lab.js';

const seed = Number(process.env['SWITCHYARD_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const SEQUENCES = 60;
const CONNECTIONS = 6;
const STEPS = 60;
const WRITE_BYTES_MAX = 150_000;

/** The byte that each side of a connection sends at a place. */
function byteAt(at: number, salt: number): number {
  return (at * 31 + (at >> 8) * 7 + salt) & 0xff;
}

/** One end of a connection that is used at random, and what it must have heard. */
class End {
  readonly heard: Heard;
  readonly salt: number;
  sent = 0;
  got = 0;
  isOver = false;
  isDestroyed = false;
  /** Told by the wire to wait. */
  isFull = false;

  constructor(heard: Heard, salt: number) {
    this.heard = heard;
    this.salt = salt;
    heard.onChunk = (chunk) => {
      for (const byte of chunk) {
        if (byte !== byteAt(this.got, this.salt ^ 1))
          assert.fail(`byte ${this.got} of ${this.salt} is not what was sent`);
        this.got += 1;
      }
    };
    heard.onDrain = () => {
      assert.ok(this.isFull, 'a drain of what is not full');
      this.isFull = false;
    };
  }

  get wire(): Wire {
    return this.heard.wire;
  }

  bytes(size: number): Buffer {
    const bytes = Buffer.alloc(size);
    for (let i = 0; i < size; i += 1) bytes[i] = byteAt(this.sent + i, this.salt);
    this.sent += size;
    return bytes;
  }

  act(dice: Dice): void {
    switch (dice.between(0, 11)) {
      case 0:
        this.wire.pause();
        return;
      case 1:
      case 2:
        this.wire.resume();
        return;
      case 3:
        if (dice.chance(1 / 6)) this.end(dice);
        return;
      case 4:
        if (!dice.chance(1 / 20)) return;
        this.isDestroyed = true;
        this.isOver = true;
        this.wire.destroy();
        return;
      default:
        if (this.isOver || this.isFull || this.wire.closed) return;
        this.isFull = !this.wire.write(this.bytes(dice.between(0, dice.chance(0.25) ? WRITE_BYTES_MAX : 300)));
    }
  }

  end(dice: Dice): void {
    if (this.isOver) return;
    this.isOver = true;
    const last = dice.chance(0.5) ? undefined : this.bytes(dice.between(1, 1_000));
    this.wire.end(last);
  }
}

async function sequence(t: TestContext, engine: Engine, dice: Dice): Promise<void> {
  const ends: (readonly [End, End])[] = [];
  for (let i = 0; i < CONNECTIONS; i += 1) {
    const [left, right] = await pair(t, engine, 4_096 << dice.between(0, 5));
    ends.push([new End(left, 2 * i), new End(right, 2 * i + 1)]);
  }
  for (let step = 0; step < STEPS; step += 1) {
    for (const both of ends) for (const end of both) end.act(dice);
    const pause = dice.between(0, 9);
    if (pause === 0) await delay(1);
    else if (pause < 6) await new Promise(setImmediate);
  }
  for (const [left, right] of ends) {
    for (const end of [left, right]) {
      end.end(dice);
      end.wire.resume();
    }
    await Promise.all([left, right].map(({ heard }) => heard.until(() => heard.closed !== undefined)));
    const isCut = left.isDestroyed || right.isDestroyed;
    for (const [from, to] of [
      [left, right],
      [right, left],
    ] as const) {
      assert.ok(isCut ? to.got <= from.sent : to.got === from.sent, `${to.got} of ${from.sent} bytes arrived`);
      const { closed } = from.heard;
      assert.ok(
        closed === null || (isCut && closed !== undefined && 'code' in closed && !(closed instanceof AssertionError)),
        String(closed),
      );
    }
  }
}

for (const engine of engines()) {
  test(`${engine.name}: however two peers write, pause, end and destroy, what arrives is what was sent`, async (t) => {
    t.diagnostic(`seed ${seed}`);
    const dice = new Dice(seed);
    for (let n = 0; n < SEQUENCES; n += 1) await sequence(t, engine, dice);
  });
}
