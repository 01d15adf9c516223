import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { HoldQueue } from '../../../src/failover/hold-queue.js';
import type { HoldLimits } from '../../../src/failover/hold-queue.js';
import type { HoldTicket } from '../../../src/session/hold.js';
import { FakeClock } from '../../support/fake-clock.js';

const limits: HoldLimits = { holdTimeoutMs: 1000, maxHeld: 10, releaseWave: 2 };

/** A queue, and what it did to those who wait in it. */
class Yard {
  readonly clock = new FakeClock();
  readonly queue: HoldQueue;
  readonly log: string[] = [];
  readonly tickets = new Map<string, HoldTicket>();
  /** What a session does when it is let go; it attaches by default, and leaves when told. */
  readonly onRelease = new Map<string, () => void>();
  readonly onExpire = new Map<string, () => void>();

  constructor(more: Partial<HoldLimits> = {}) {
    this.queue = new HoldQueue({ ...limits, ...more }, this.clock);
  }

  enter(name: string, sinceMs = this.clock.nowMs()): boolean {
    const ticket = this.queue.enter({
      sinceMs,
      onRelease: () => {
        this.log.push(`${name} goes`);
        this.onRelease.get(name)?.();
      },
      onExpire: () => {
        this.log.push(`${name} expires`);
        this.onExpire.get(name)?.();
      },
    });
    if (ticket === null) return false;
    this.tickets.set(name, ticket);
    return true;
  }

  leave(name: string): void {
    this.tickets.get(name)?.leave();
  }

  /** What happened since the last call. */
  take(): string[] {
    return this.log.splice(0);
  }
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `s${index}`);
}

test('nobody goes before it is opened', () => {
  const yard = new Yard();
  yard.enter('a');
  yard.clock.advance(999);
  assert.deepEqual(yard.take(), []);
  assert.equal(yard.queue.length, 1);
});

test('the oldest go first, in waves; each that leaves makes room for the next', () => {
  const yard = new Yard();
  for (const name of names(5)) {
    yard.enter(name);
    yard.clock.advance(10);
  }
  yard.queue.open();
  assert.deepEqual(yard.take(), ['s0 goes', 's1 goes']);
  assert.equal(yard.queue.length, 3);
  yard.leave('s1');
  assert.deepEqual(yard.take(), ['s2 goes']);
  yard.leave('s1');
  assert.deepEqual(yard.take(), [], 'leaving twice makes room once');
  yard.leave('s0');
  yard.leave('s2');
  assert.deepEqual(yard.take(), ['s3 goes', 's4 goes']);
  assert.equal(yard.queue.length, 0);
});

test('whoever is let go and leaves at once makes room at once', () => {
  const yard = new Yard();
  for (const name of names(6)) {
    yard.onRelease.set(name, () => yard.leave(name));
    yard.enter(name);
  }
  yard.queue.open();
  assert.deepEqual(
    yard.take(),
    names(6).map((name) => `${name} goes`),
  );
});

test('shut keeps the others back', () => {
  const yard = new Yard();
  for (const name of names(4)) yard.enter(name);
  yard.queue.open();
  yard.queue.shut();
  yard.take();
  yard.leave('s0');
  yard.leave('s1');
  assert.deepEqual(yard.take(), []);
  yard.queue.open();
  assert.deepEqual(yard.take(), ['s2 goes', 's3 goes']);
});

test('one that is shut while it lets go stops at once', () => {
  const yard = new Yard({ releaseWave: 10 });
  for (const name of names(4)) yard.enter(name);
  yard.onRelease.set('s1', () => yard.queue.shut());
  yard.queue.open();
  assert.deepEqual(yard.take(), ['s0 goes', 's1 goes']);
});

test('one that comes back in vain has its old place, and keeps nobody from his turn', () => {
  const yard = new Yard({ releaseWave: 1 });
  const sinceMs = new Map<string, number>();
  for (const name of names(3)) {
    sinceMs.set(name, yard.clock.nowMs());
    yard.enter(name);
    yard.clock.advance(10);
  }
  const comeBack = (name: string) => () => {
    yard.leave(name);
    yard.enter(name, sinceMs.get(name));
  };
  yard.onRelease.set('s0', comeBack('s0'));
  yard.onRelease.set('s1', comeBack('s1'));
  yard.queue.open();
  assert.deepEqual(yard.take(), ['s0 goes', 's1 goes', 's2 goes']);
  assert.equal(yard.queue.length, 2);
  assert.equal(yard.queue.oldestSinceMs, sinceMs.get('s0'));
  yard.leave('s2');
  assert.deepEqual(yard.take(), ['s0 goes', 's1 goes'], 'one more try, and no more than one');
});

test('one that comes back later has its old place', () => {
  const yard = new Yard({ releaseWave: 1 });
  const sinceMs = yard.clock.nowMs();
  yard.enter('a');
  yard.queue.open();
  yard.queue.shut();
  yard.clock.advance(10);
  yard.enter('b');
  yard.leave('a');
  yard.enter('a', sinceMs);
  yard.take();
  yard.queue.open();
  assert.deepEqual(yard.take(), ['a goes']);
});

test('one whose time is over is told so, once, and has left', () => {
  const yard = new Yard();
  yard.enter('a');
  yard.clock.advance(500);
  yard.enter('b');
  yard.clock.advance(499);
  assert.deepEqual(yard.take(), []);
  yard.clock.advance(1);
  assert.deepEqual(yard.take(), ['a expires']);
  assert.equal(yard.queue.length, 1);
  yard.clock.advance(500);
  assert.deepEqual(yard.take(), ['b expires']);
  yard.queue.open();
  yard.leave('a');
  yard.clock.advance(10_000);
  assert.deepEqual(yard.take(), []);
  assert.equal(yard.clock.pendingTimers, 0);
});

test('the time counts from the beginning of the hold, over all tries', () => {
  const yard = new Yard({ releaseWave: 1 });
  const sinceMs = yard.clock.nowMs();
  yard.enter('a');
  yard.clock.advance(300);
  yard.enter('b');
  yard.queue.open();
  yard.queue.shut();
  yard.clock.advance(600);
  yard.leave('a');
  yard.enter('a', sinceMs);
  yard.take();
  yard.clock.advance(99);
  assert.deepEqual(yard.take(), []);
  yard.clock.advance(1);
  assert.deepEqual(yard.take(), ['a expires'], 'though the timer was set for the other one');
  yard.clock.advance(300);
  assert.deepEqual(yard.take(), ['b expires']);
});

test('one that comes back after its time is told at the next turn of the clock', () => {
  const yard = new Yard();
  const sinceMs = yard.clock.nowMs();
  yard.clock.advance(5000);
  yard.enter('a', sinceMs);
  assert.deepEqual(yard.take(), []);
  yard.clock.advance(0);
  assert.deepEqual(yard.take(), ['a expires']);
});

test('a shorter time limit holds for those who come later, and they need not wait for the others', () => {
  const yard = new Yard();
  yard.enter('a');
  yard.queue.limits = { ...limits, holdTimeoutMs: 100 };
  yard.enter('b');
  yard.clock.advance(100);
  assert.deepEqual(yard.take(), ['b expires']);
  yard.clock.advance(900);
  assert.deepEqual(yard.take(), ['a expires']);
});

test('one that leaves is neither let go nor told that its time is over', () => {
  const yard = new Yard();
  yard.enter('a');
  yard.enter('b');
  yard.leave('a');
  assert.equal(yard.queue.length, 1);
  yard.queue.open();
  assert.deepEqual(yard.take(), ['b goes']);
  yard.clock.advance(5000);
  assert.deepEqual(yard.take(), [], 'one that was let go has no time limit any more');
});

test('one that leaves because of the end of another is not told', () => {
  const yard = new Yard();
  for (const name of names(3)) yard.enter(name);
  yard.onExpire.set('s0', () => yard.leave('s1'));
  yard.clock.advance(1000);
  assert.deepEqual(yard.take(), ['s0 expires', 's2 expires']);
});

test('one that is told that its time is over may enter again', () => {
  const yard = new Yard();
  yard.enter('a');
  yard.onExpire.set('a', () => yard.enter('a'));
  yard.clock.advance(1000);
  assert.deepEqual(yard.take(), ['a expires']);
  assert.equal(yard.queue.length, 1);
  yard.clock.advance(999);
  assert.deepEqual(yard.take(), []);
  yard.clock.advance(1);
  assert.deepEqual(yard.take(), ['a expires']);
});

test('a full queue takes nobody, and those who try again keep their room', () => {
  const yard = new Yard({ maxHeld: 3, releaseWave: 2 });
  for (const name of names(3)) assert.ok(yard.enter(name));
  assert.ok(!yard.enter('late'));
  yard.queue.open();
  yard.queue.shut();
  assert.equal(yard.queue.length, 1);
  assert.ok(!yard.enter('late'), 's0 and s1 may come back');
  yard.leave('s0');
  assert.ok(yard.enter('s0'));
  assert.ok(!yard.enter('late'));
  yard.leave('s1');
  assert.ok(yard.enter('late'));
});

test('knows since when the oldest waits', () => {
  const yard = new Yard();
  assert.equal(yard.queue.oldestSinceMs, null);
  yard.enter('a', 500);
  yard.enter('b', 400);
  assert.equal(yard.queue.oldestSinceMs, 400);
  yard.leave('b');
  assert.equal(yard.queue.oldestSinceMs, 500);
  yard.leave('a');
  assert.equal(yard.queue.oldestSinceMs, null);
});

test('a closed queue lets nobody go and runs no timer', () => {
  const yard = new Yard();
  for (const name of names(3)) yard.enter(name);
  yard.queue.open();
  yard.take();
  yard.queue.close();
  yard.leave('s0');
  yard.clock.advance(10_000);
  assert.deepEqual(yard.take(), []);
  assert.equal(yard.clock.pendingTimers, 0);
});

test('one who fails in his turn does not keep the others from theirs', () => {
  const yard = new Yard();
  for (const name of names(3)) yard.enter(name);
  yard.onRelease.set('s0', () => {
    throw new Error('boom');
  });
  assert.throws(() => yard.queue.open(), /boom/);
  yard.leave('s0');
  assert.deepEqual(yard.take(), ['s0 goes', 's1 goes', 's2 goes']);
});

type Act =
  | { readonly kind: 'enter' | 'open' | 'shut' }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'leave' | 'again'; readonly whom: number };

/** What a session does inside its release: nothing yet, leave, or come back. */
type Habit = 'attach' | 'leave' | 'again';

interface Sitter {
  readonly sinceMs: number;
  readonly habit: Habit;
  ticket: HoldTicket;
  state: 'waiting' | 'released' | 'gone';
}

const acts = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant<Act>({ kind: 'enter' }) },
    { weight: 2, arbitrary: fc.constantFrom<Act[]>({ kind: 'open' }, { kind: 'open' }, { kind: 'shut' }) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 700 }).map((ms): Act => ({ kind: 'advance', ms })) },
    {
      weight: 4,
      arbitrary: fc
        .tuple(fc.constantFrom('leave' as const, 'again' as const), fc.nat({ max: 40 }))
        .map(([kind, whom]): Act => ({ kind, whom })),
    },
  ),
  { maxLength: 60 },
);

test('nobody is let go twice, forgotten, told after he left, or passed over by a younger one', () => {
  fc.assert(
    fc.property(
      acts,
      fc.array(fc.constantFrom<Habit[]>('attach', 'attach', 'leave', 'again'), { minLength: 60 }),
      (all, habits) => {
        const clock = new FakeClock();
        const queue = new HoldQueue({ holdTimeoutMs: 1000, maxHeld: 6, releaseWave: 2 }, clock);
        const sitters: Sitter[] = [];
        const count = (state: Sitter['state']): number => sitters.filter((sitter) => sitter.state === state).length;
        const enter = (sitter: Omit<Sitter, 'ticket' | 'state'>): boolean => {
          const made: Sitter = { ...sitter, state: 'waiting', ticket: { leave: () => {}, refused: () => {} } };
          let isEntered = false;
          const ticket = queue.enter({
            sinceMs: made.sinceMs,
            onRelease: () => {
              assert.ok(isEntered, 'never from inside enter');
              assert.equal(made.state, 'waiting', 'let go twice, or after leaving');
              assert.ok(clock.nowMs() - made.sinceMs <= 1000, 'let go after its time');
              made.state = 'released';
              assert.ok(count('released') <= 2, 'more than a wave');
              if (made.habit !== 'attach') leave(made);
              if (made.habit === 'again')
                assert.ok(enter({ sinceMs: made.sinceMs, habit: 'attach' }), 'its room was taken');
            },
            onExpire: () => {
              assert.equal(made.state, 'waiting', 'told after leaving');
              assert.ok(clock.nowMs() - made.sinceMs >= 1000, 'told too early');
              made.state = 'gone';
            },
          });
          if (ticket === null) {
            assert.equal(count('waiting') + count('released'), 6, 'refused though there is room');
            return false;
          }
          made.ticket = ticket;
          sitters.push(made);
          isEntered = true;
          return true;
        };
        const leave = (sitter: Sitter): void => {
          sitter.state = 'gone';
          sitter.ticket.leave();
        };
        for (const act of all) {
          const sitter = act.kind === 'leave' || act.kind === 'again' ? sitters[act.whom] : undefined;
          const isReleased = sitter?.state === 'released';
          switch (act.kind) {
            case 'enter':
              enter({ sinceMs: clock.nowMs(), habit: habits[sitters.length] ?? 'attach' });
              break;
            case 'advance':
              clock.advance(act.ms);
              break;
            case 'leave':
            case 'again':
              if (sitter !== undefined) leave(sitter);
              if (sitter !== undefined && isReleased && act.kind === 'again')
                enter({ sinceMs: sitter.sinceMs, habit: 'attach' });
              break;
            default:
              queue[act.kind]();
          }
          assert.equal(queue.length, count('waiting'));
          const oldest = sitters.filter(({ state }) => state === 'waiting').map(({ sinceMs }) => sinceMs);
          assert.equal(queue.oldestSinceMs, oldest.length === 0 ? null : Math.min(...oldest));
        }
        // In the end everybody had his turn or his time.
        queue.shut();
        clock.advance(1000);
        assert.equal(count('waiting'), 0);
        assert.equal(clock.pendingTimers, 0);
      },
    ),
    { numRuns: 3000 },
  );
});

test('everybody goes in the order in which he came, whatever the size of the waves', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 500 }), { maxLength: 20 }),
      fc.integer({ min: 1, max: 8 }),
      (waits, releaseWave) => {
        const clock = new FakeClock();
        const queue = new HoldQueue({ holdTimeoutMs: 1000, maxHeld: 100, releaseWave }, clock);
        const tickets: HoldTicket[] = [];
        const gone: number[] = [];
        for (const [index, waitMs] of waits.entries()) {
          const ticket = queue.enter({
            sinceMs: clock.nowMs() - waitMs,
            onRelease: () => gone.push(index),
            onExpire: () => assert.fail('nobody has waited so long'),
          });
          assert.ok(ticket !== null);
          tickets.push(ticket);
        }
        queue.open();
        assert.equal(gone.length, Math.min(releaseWave, waits.length));
        for (let i = 0; i < gone.length; i += 1) tickets[gone[i] ?? 0]?.leave();
        const order = [...waits.entries()].sort(([i, a], [j, b]) => b - a || i - j).map(([index]) => index);
        assert.deepEqual(gone, order);
      },
    ),
    { numRuns: 500 },
  );
});
