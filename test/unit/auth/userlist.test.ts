import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseUserlist } from '../../../src/auth/userlist.js';

const scram =
  'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=';

function read(text: string): readonly (readonly [string, string])[] {
  const { entries, problems } = parseUserlist(text);
  assert.deepEqual(problems, []);
  return entries.map((entry) => [entry.name, entry.secret]);
}

test('users with all kinds of secrets are read, comments and empty lines are not', () => {
  const text = [
    '; written by hand',
    '',
    '"alice" "md500c31446a25b9a88793fcbad6ee5bfea"',
    '  "bob"\t"plain text" "ignored" and this too',
    `"carol" "${scram}"`,
    '   ; indented comment',
    '"nobody" ""',
  ].join('\r\n');
  assert.deepEqual(read(`\ufeff${text}`), [
    ['alice', 'md500c31446a25b9a88793fcbad6ee5bfea'],
    ['bob', 'plain text'],
    ['carol', scram],
    ['nobody', ''],
  ]);
});

test('a doubled quote is a quote', () => {
  assert.deepEqual(read('"a""b" """x"""'), [['a"b', '"x"']]);
});

test('what was quoted is read back', () => {
  const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const text = fc.string({ maxLength: 20 }).filter((value) => !/[\r\n]/.test(value) && !value.startsWith('SCRAM-'));
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text)), (users) => {
      const named = users.map(([name, secret]) => [`u${name}`, secret] as const);
      assert.deepEqual(
        read(named.map(([name, secret]) => `${quote(name)} ${quote(secret)}`).join('\n')),
        named.map(([name, secret]) => [name, secret]),
      );
    }),
  );
});

test('lines that are wrong are named, without their secrets, and the others are read', () => {
  const { entries, problems } = parseUserlist(
    [
      '"a" "1"',
      'b hidden',
      '"c" "hidden',
      '"d',
      '"e" hidden',
      '"" "hidden"',
      '"f" "SCRAM-SHA-256$hidden"',
      '"g" "2"',
    ].join('\n'),
  );
  assert.deepEqual(
    entries.map((entry) => entry.name),
    ['a', 'g'],
  );
  assert.deepEqual(problems, [
    { line: 2, message: 'a line must begin with a quoted user name' },
    { line: 3, message: 'the quote of the secret of user "c" is not closed' },
    { line: 4, message: 'the quote of the user name is not closed' },
    { line: 5, message: 'user "e" has no quoted secret' },
    { line: 6, message: 'the user name is empty' },
    { line: 7, message: 'the secret of user "f" begins like a SCRAM verifier but is not one' },
  ]);
  assert.ok(!JSON.stringify(problems).includes('hidden'));
});

test('a file that is something else ends after a hundred problems', () => {
  assert.equal(parseUserlist('x\n'.repeat(10_000)).problems.length, 100);
});
