import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { PROTOCOL_3_0, PROTOCOL_3_2 } from '../../../src/protocol/codes.js';
import { readStartupPacket, STARTUP_PACKET_BYTES_MAX } from '../../../src/protocol/startup-packet.js';
import type { StartupMessage, StartupPacket } from '../../../src/protocol/startup-packet.js';
import { cString, frontend, untypedMessage } from '../../support/raw-messages.js';

const SSL = 80_877_103;
const GSSENC = 80_877_104;
const CANCEL = 80_877_102;
const END = Buffer.from([0]);

function version(major: number, minor: number): number {
  return major * 65_536 + minor;
}

function read(bytes: Buffer): StartupPacket {
  return readStartupPacket(bytes).packet;
}

/** A startup message with the parts written out one by one. */
function startup(parts: readonly (string | Buffer)[], protocol: number = PROTOCOL_3_0): Buffer {
  return untypedMessage(protocol, ...parts.map((part) => (typeof part === 'string' ? cString(part) : part)));
}

function readStartup(bytes: Buffer): StartupMessage {
  const packet = read(bytes);
  assert.ok(packet.kind === 'startup');
  return packet;
}

test('reads SSLRequest and GSSENCRequest', () => {
  assert.deepEqual(readStartupPacket(frontend.sslRequest()), { packet: { kind: 'ssl' }, end: 8 });
  assert.deepEqual(readStartupPacket(frontend.gssEncRequest()), { packet: { kind: 'gssenc' }, end: 8 });
});

test('tells where the packet ends when more bytes follow', () => {
  const packet = startup(['user', 'app', END]);
  const more = Buffer.concat([packet, Buffer.from('Q...')]);
  assert.equal(readStartupPacket(more).end, packet.length);
  assert.deepEqual(readStartupPacket(more).packet, read(packet));
  // The guard against stuffed bytes lives where the answer is given: it needs to see them.
  assert.equal(readStartupPacket(Buffer.concat([frontend.sslRequest(), packet])).end, 8);
});

test('reads user, database and parameters', () => {
  const packet = readStartup(
    frontend.startup({
      user: 'app',
      database: 'shop',
      application_name: 'till 1',
      options: '-c a.b=c',
      replication: 'true',
    }),
  );
  assert.equal(packet.user, 'app');
  assert.equal(packet.database, 'shop');
  assert.deepEqual(
    [...packet.parameters],
    [
      ['application_name', 'till 1'],
      ['options', '-c a.b=c'],
      ['replication', 'true'],
    ],
  );
  assert.equal(packet.protocol, PROTOCOL_3_0);
  assert.equal(packet.spoken, PROTOCOL_3_0);
  assert.ok(!packet.mustNegotiate);
});

test('the database is the user when it is not given, or empty', () => {
  assert.equal(readStartup(startup(['user', 'app', END])).database, 'app');
  assert.equal(readStartup(startup(['user', 'app', 'database', '', END])).database, 'app');
});

test('takes the last value of a parameter that is given twice, as PostgreSQL does', () => {
  const packet = readStartup(
    startup(['user', 'a', 'x', '1', 'user', 'b', 'x', '2', 'database', 'c', 'database', 'd', END]),
  );
  assert.equal(packet.user, 'b');
  assert.equal(packet.database, 'd');
  assert.equal(packet.parameters.get('x'), '2');
});

test('keeps an empty value, and UTF-8 in names and values', () => {
  const packet = readStartup(startup(['user', 'jürgen', 'application_name', '', 'ключ', '値', END]));
  assert.equal(packet.user, 'jürgen');
  assert.deepEqual(
    [...packet.parameters],
    [
      ['application_name', ''],
      ['ключ', '値'],
    ],
  );
});

const versions: readonly (readonly [asked: number, spoken: number, mustNegotiate: boolean])[] = [
  [version(3, 0), PROTOCOL_3_0, false],
  [version(3, 1), PROTOCOL_3_0, true],
  [version(3, 2), PROTOCOL_3_2, false],
  [version(3, 3), PROTOCOL_3_2, true],
  [version(3, 9999), PROTOCOL_3_2, true],
  [version(3, 65_535), PROTOCOL_3_2, true],
];

for (const [asked, spoken, mustNegotiate] of versions) {
  const name = `${asked >>> 16}.${asked & 0xffff}`;
  test(`a client that asks for ${name} is never refused, and ${mustNegotiate ? 'told' : 'not told'} of another version`, () => {
    const packet = readStartup(startup(['user', 'app', END], asked));
    assert.equal(packet.protocol, asked);
    assert.equal(packet.spoken, spoken);
    assert.equal(packet.mustNegotiate, mustNegotiate);
  });
}

test('protocol options that are not known are reported and no parameters', () => {
  const packet = readStartup(
    startup(['_pq_.one', 'x', 'user', 'app', '_pq_.two', '', '_pq_x', 'y', END], version(3, 0)),
  );
  assert.deepEqual(packet.unsupportedOptions, ['_pq_.one', '_pq_.two']);
  assert.deepEqual([...packet.parameters], [['_pq_x', 'y']]);
  assert.ok(packet.mustNegotiate);
});

const unsupported: readonly number[] = [
  version(2, 0),
  version(1, 0),
  version(4, 0),
  version(3, 0) + 0x80000000,
  0,
  0xffffffff,
];

for (const asked of unsupported) {
  test(`protocol ${asked >>> 16}.${asked & 0xffff} is refused as not supported`, () => {
    const bytes = startup(['user', 'app', END]);
    bytes.writeUInt32BE(asked >>> 0, 4);
    assert.deepEqual(read(bytes), {
      kind: 'violation',
      message: `unsupported frontend protocol ${asked >>> 16}.${asked & 0xffff}: server supports 3.0 to 3.2`,
      sqlState: '0A000',
    });
  });
}

for (const parts of [[END], ['database', 'app', END], ['user', '', END]] as const) {
  test(`no user in ${JSON.stringify(parts.slice(0, -1))} is refused`, () => {
    const packet = read(startup(parts));
    assert.deepEqual(packet, {
      kind: 'violation',
      message: 'no PostgreSQL user name specified in startup packet',
      sqlState: '28000',
    });
  });
}

const malformed: readonly (readonly [what: string, bytes: Buffer])[] = [
  ['nothing behind the version', startup([])],
  ['no terminator', startup(['user', 'app'])],
  ['a name without a value', startup(['user', 'app', 'database', END.subarray(0, 0)])],
  ['a name that does not end', startup(['user', 'app', Buffer.from('databas')])],
  ['a value that does not end', startup(['user', Buffer.from('app')])],
  ['bytes behind the terminator', startup(['user', 'app', END, 'x'])],
  ['two terminators', startup(['user', 'app', END, END])],
];

for (const [what, bytes] of malformed) {
  test(`a startup packet with ${what} is a violation, whatever bytes follow it`, () => {
    const expected: StartupPacket = {
      kind: 'violation',
      message: 'invalid startup packet layout: expected terminator as last byte',
      sqlState: '08P01',
    };
    assert.deepEqual(read(bytes), expected);
    assert.deepEqual(read(Buffer.concat([bytes, cString('more'), END, END])), expected);
  });
}

test('a packet of 10,000 bytes is read, and one of 10,001 is refused before its bytes have come', () => {
  const fill = (total: number): Buffer => {
    const empty = startup(['user', 'app', 'application_name', '', END]);
    return startup(['user', 'app', 'application_name', 'x'.repeat(total - empty.length), END]);
  };
  const largest = fill(STARTUP_PACKET_BYTES_MAX);
  assert.equal(largest.length, 10_000);
  assert.equal(readStartup(largest).user, 'app');
  const tooLarge = fill(10_001);
  const expected = { kind: 'violation', message: 'invalid length of startup packet', sqlState: '08P01' };
  assert.deepEqual(read(tooLarge), expected);
  assert.deepEqual(read(tooLarge.subarray(0, 4)), expected);
});

for (const length of [0, 4, 7, 0x7fffffff, 0x80000000, 0xffffffff]) {
  test(`a packet length of ${length} is a violation`, () => {
    const bytes = startup(['user', 'app', END]);
    bytes.writeUInt32BE(length, 0);
    assert.equal(read(bytes).kind, 'violation');
    assert.equal(readStartupPacket(bytes).end, 0);
  });
}

for (const [name, code] of [
  ['SSLRequest', SSL],
  ['GSSENCRequest', GSSENC],
] as const) {
  test(`a ${name} with bytes inside is a violation`, () => {
    assert.deepEqual(read(untypedMessage(code, Buffer.from('x'))), {
      kind: 'violation',
      message: `invalid length of ${name}`,
      sqlState: '08P01',
    });
  });
}

for (const length of [1, 4, 32, 255, 256]) {
  test(`a cancel key of ${length} bytes is read, and is a copy`, () => {
    const key = Buffer.alloc(length, 7);
    const bytes = untypedMessage(CANCEL, Buffer.from([0x80, 0, 0, 1]), key);
    const packet = read(bytes);
    bytes.fill(0);
    assert.deepEqual(packet, { kind: 'cancel', processId: -0x7fffffff, key });
  });
}

for (const length of [0, 257, 1000]) {
  test(`a cancel key of ${length} bytes is a violation`, () => {
    const bytes = untypedMessage(CANCEL, Buffer.alloc(4), Buffer.alloc(length));
    assert.deepEqual(read(bytes), { kind: 'violation', message: 'invalid length of CancelRequest', sqlState: '08P01' });
  });
}

test('a CancelRequest without a process id is a violation', () => {
  assert.equal(read(untypedMessage(CANCEL)).kind, 'violation');
});

test('every beginning of a packet is incomplete, and says how many bytes are needed', () => {
  const packets = [
    frontend.sslRequest(),
    frontend.gssEncRequest(),
    frontend.cancelRequest(1, Buffer.alloc(32)),
    frontend.startup({ user: 'app', database: 'shop', options: '-c x=y' }, PROTOCOL_3_2),
  ];
  for (const packet of packets) {
    for (let length = 0; length < packet.length; length += 1) {
      const bytes = length < 4 ? 8 : packet.length;
      assert.deepEqual(readStartupPacket(packet.subarray(0, length)), {
        packet: { kind: 'incomplete', bytes },
        end: 0,
      });
    }
  }
});

test('never throws, and never reads past the packet', () => {
  const packets = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc
      .tuple(fc.constantFrom(PROTOCOL_3_0, PROTOCOL_3_2, SSL, GSSENC, CANCEL), fc.uint8Array({ maxLength: 60 }))
      .map(([code, body]) => untypedMessage(code, Buffer.from(body))),
    fc
      .array(fc.constantFrom('user', 'app', '', 'database', '_pq_.x', 'options'), { maxLength: 9 })
      .map((parts) => startup([...parts, END])),
  );
  fc.assert(
    fc.property(packets, fc.uint8Array({ maxLength: 20 }), (bytes, more) => {
      const alone = readStartupPacket(Buffer.from(bytes));
      const followed = readStartupPacket(Buffer.concat([bytes, more]));
      if (alone.packet.kind !== 'incomplete') assert.deepEqual(followed, alone);
      assert.ok(alone.end <= bytes.length);
    }),
    { numRuns: 5000 },
  );
});
