import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Extent } from '../../src/session/split/unit-ahead.js';
import { frontend } from '../support/raw-messages.js';
import { saidOf, UnitReader } from '../unit/session/split/unit-reader.js';

const prepared: Readonly<Record<string, string>> = {
  '': 'select unnamed',
  one: 'select one',
  two: 'delete from two',
  hinted: 'select hinted /* switchyard: primary */',
};
const names = fc.constantFrom('', 'one', 'two', 'hinted', 'unknown');
const texts = fc.constantFrom(
  'select 1',
  "insert into t values ('x')",
  'select 2; delete from t',
  'execute one',
  'deallocate two',
  'prepare three as select 3',
  'select 4 -- switchyard: primary',
  'not sql',
  '',
);

/** A message, and what it adds to what is known of its unit. */
interface Piece {
  readonly kind: 'parse' | 'bind' | 'describe' | 'execute' | 'close' | 'flush' | 'other';
  readonly name: string;
  readonly text: string;
  readonly bytes: Buffer;
}

function piece(kind: Piece['kind'], bytes: Buffer, name = '', text = ''): Piece {
  return { kind, name, text, bytes };
}

const pieces: fc.Arbitrary<Piece> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(names, texts).map(([name, text]) => piece('parse', frontend.parse(text, { name }), name, text)),
  },
  { weight: 3, arbitrary: names.map((name) => piece('bind', frontend.bind({ statement: name, portal: 'p' }), name)) },
  { weight: 2, arbitrary: names.map((name) => piece('describe', frontend.describe('S', name), name)) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      piece('execute', frontend.execute()),
      piece('other', frontend.describe('P', 'one')),
      piece('other', frontend.close('P', 'one')),
    ),
  },
  { weight: 2, arbitrary: names.map((name) => piece('close', frontend.close('S', name), name)) },
  { weight: 1, arbitrary: fc.constant(piece('flush', frontend.flush())) },
);
const units = fc.array(pieces, { minLength: 1, maxLength: 8 });
const effectNames: Readonly<Record<string, string>> = {
  'execute one': 'one',
  'deallocate two': 'two',
  'prepare three as select 3': 'three',
};

/** What the unit needs, by the words of SessionState.prepareFor. */
function neededBy(unit: readonly Piece[]): ReadonlySet<string> {
  const needed = new Set<string>();
  const closed = new Set<string>();
  const own = new Set<string>();
  const need = (name: string): void => {
    if (!closed.has(name)) needed.add(name);
  };
  for (const { kind, name, text } of unit) {
    if (kind === 'close') closed.add(name);
    else if (kind === 'parse') {
      if (name !== '') need(name);
      const called = effectNames[text];
      if (called !== undefined) needed.add(called);
      own.add(name);
    } else if ((kind === 'bind' || kind === 'describe') && !own.has(name)) need(name);
  }
  return needed;
}

function bytesOf(unit: readonly Piece[]): Buffer {
  return Buffer.concat([...unit.map(({ bytes }) => bytes), frontend.sync()]);
}

test('a unit reads the same wherever it lies, and whatever lies behind it', () => {
  fc.assert(
    fc.property(units, fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }), (unit, before, behind) => {
      const whole = bytesOf(unit);
      const alone = saidOf(new UnitReader(prepared).read(whole));
      const reader = new UnitReader(prepared);
      // One that has read other units before.
      reader.read(bytesOf(unit.toReversed()));
      assert.deepEqual(saidOf(reader.read(Buffer.concat([before, whole, behind]), before.length)), alone);
    }),
    { numRuns: 2000 },
  );
});

test('what is there of a unit is never taken for the whole, wherever it is cut', () => {
  fc.assert(
    fc.property(units, (unit) => {
      const whole = bytesOf(unit);
      const ends = new Map<number, number>();
      let at = 0;
      for (const [index, { bytes }] of unit.entries()) ends.set((at += bytes.length), index + 1);
      const reader = new UnitReader(prepared);
      const { analyses } = new UnitReader(prepared).read(whole);
      for (let cut = 5; cut < whole.length; cut += 1) {
        const ahead = reader.read(whole.subarray(0, cut));
        const count = ends.get(cut) ?? 0;
        const isFlushed = count > 0 && unit.slice(0, count).some(({ kind }) => kind === 'flush');
        assert.equal(ahead.extent, isFlushed ? Extent.Flushed : Extent.Partial, `cut at ${cut}`);
        // What is known of the part stays true of the whole.
        for (const [index, { template }] of ahead.analyses.entries()) {
          assert.equal(analyses[index]?.template, template);
        }
      }
      assert.equal(reader.read(whole).extent, Extent.Whole);
    }),
    { numRuns: 500 },
  );
});

test('a unit needs exactly what it uses of others, and says what it runs', () => {
  fc.assert(
    fc.property(units, (unit) => {
      const ahead = new UnitReader(prepared).read(bytesOf(unit));
      assert.deepEqual(new Set(ahead.names), neededBy(unit));
      assert.equal(new Set(ahead.names).size, ahead.names.length);
      assert.equal(
        ahead.executes,
        unit.some(({ kind }) => kind === 'bind' || kind === 'execute'),
      );
      const own = new Set<string>();
      let asks = false;
      let isUnknown = false;
      for (const { kind, name, text } of unit) {
        if (kind === 'parse') {
          own.add(name);
          asks ||= text.includes('switchyard');
        } else if ((kind === 'bind' || kind === 'describe') && !own.has(name)) {
          asks ||= name === 'hinted';
          isUnknown ||= name === 'unknown';
        }
      }
      assert.equal(ahead.hint, asks ? 'primary' : null);
      assert.equal(ahead.hasUnknown, isUnknown);
    }),
    { numRuns: 3000 },
  );
});

test('a unit is read exactly when it is no longer than the bound, however it was cut', () => {
  fc.assert(
    fc.property(units, fc.nat(300), fc.nat(), (unit, bytesMax, seed) => {
      const whole = bytesOf(unit);
      const reader = new UnitReader(prepared);
      reader.bytesMax = bytesMax;
      assert.equal(reader.read(whole).extent, whole.length > bytesMax ? Extent.TooLong : Extent.Whole);
      const cut = 5 + (seed % (whole.length - 4));
      const { extent } = reader.read(whole.subarray(0, cut));
      // Its header must be there of the message that is too much.
      if (cut >= bytesMax + 5) assert.equal(extent, Extent.TooLong);
      if (whole.length <= bytesMax) assert.notEqual(extent, Extent.TooLong);
    }),
    { numRuns: 3000 },
  );
});

test('no garbage keeps it from coming to an end', () => {
  const types = fc.constantFrom(...'PBDECSHQFdcfX').map((type) => type.charCodeAt(0));
  const lengths = fc.oneof(fc.nat(20), fc.constantFrom(0xffffffff, 0x7fffffff, 0));
  const frame = fc.tuple(types, lengths, fc.uint8Array({ maxLength: 20 })).map(([type, length, body]) => {
    const header = Buffer.alloc(5);
    header.writeUInt8(type);
    header.writeUInt32BE(length, 1);
    return Buffer.concat([header, body]);
  });
  const extents: ReadonlySet<string> = new Set(Object.values(Extent));
  fc.assert(
    fc.property(fc.array(frame, { minLength: 1, maxLength: 6 }), (frames) => {
      const bytes = Buffer.concat(frames);
      const type = bytes.readUInt8(0);
      // What is not read ahead is told by its own length, which the scanner has checked.
      fc.pre(type !== 0x51 && type !== 0x46 && bytes.readUInt32BE(1) >= 4);
      assert.ok(extents.has(new UnitReader(prepared).read(bytes).extent));
    }),
    { numRuns: 3000 },
  );
});
