import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lex, TokenKind } from '../../../src/sql/lexer.js';

const names: Readonly<Record<TokenKind, string>> = {
  [TokenKind.Word]: 'word',
  [TokenKind.QuotedName]: 'name',
  [TokenKind.String]: 'string',
  [TokenKind.Number]: 'number',
  [TokenKind.Parameter]: 'parameter',
  [TokenKind.Semicolon]: 'semicolon',
  [TokenKind.Symbol]: 'symbol',
};

type Token = readonly [kind: string, text: string];

/** The tokens of a text, or null where it does not end as it should. */
function tokens(text: string, escapesInStrings = false): Token[] | null {
  const bytes = Buffer.from(`'"${text}'"`);
  const found: Token[] = [];
  const isComplete = lex(bytes, 2, bytes.length - 2, escapesInStrings, (kind, start, end) => {
    found.push([names[kind], bytes.toString('utf8', start, end)]);
  });
  return isComplete ? found : null;
}

/** The kinds and texts in one line: `word:select number:1`. */
function line(text: string, escapesInStrings = false): string | null {
  return (
    tokens(text, escapesInStrings)
      ?.map(([kind, token]) => `${kind}:${token}`)
      .join(' ') ?? null
  );
}

const rows: readonly (readonly [what: string, text: string, expected: string])[] = [
  ['nothing', '', ''],
  ['white space of every kind', ' \t\n\r\f\v', ''],
  ['words', 'select Foo _bar b4z', 'word:select word:Foo word:_bar word:b4z'],
  ['words beyond ASCII', 'größe 表', 'word:größe word:表'],
  ['a dollar inside a word', 'a$1 b$$c$$', 'word:a$1 word:b$$c$$'],
  ['quoted names', '"a b" "a""b" ""', 'name:"a b" name:"a""b" name:""'],
  ['a backslash in a quoted name', '"a\\" b', 'name:"a\\" word:b'],
  ['quoted names with Unicode escapes', 'U&"d\\0061t" u&"x""y"', 'name:U&"d\\0061t" name:u&"x""y"'],
  ['quoted names do not go on', '"a"\n"b"', 'name:"a" name:"b"'],
  ['strings', "'a b' '' 'a''b'", "string:'a b' string:'' string:'a''b'"],
  ['a backslash in a standard string', "'\\' ''", "string:'\\' string:''"],
  ['escape strings', "E'a\\'b' e'\\\\' E'a''b'", "string:E'a\\'b' string:e'\\\\' string:E'a''b'"],
  ['a name that ends in e before a string', "note'a'", "word:note string:'a'"],
  ['an e that is not at the string', "e 'a\\'", "word:e string:'a\\'"],
  ['bit strings', "B'01' x'1F'", "string:B'01' string:x'1F'"],
  ['two quotes in a bit string', "B'01''a'", "string:B'01' string:'a'"],
  ['national strings', "N'a\\' n'b'", "string:N'a\\' string:n'b'"],
  [
    'Unicode strings',
    "U&'d\\0061t' u&'a''b' UESCAPE '!'",
    "string:U&'d\\0061t' string:u&'a''b' word:UESCAPE string:'!'",
  ],
  ['u& without a quote', 'u&1 u & x', 'word:u symbol:& number:1 word:u symbol:& word:x'],
  ['dollar quotes', '$$a;b$$ $$$$', 'string:$$a;b$$ string:$$$$'],
  ['dollar quotes with a tag', "$f$it's $$ here$f$", "string:$f$it's $$ here$f$"],
  ['dollar quotes within dollar quotes', '$a$ $b$ x $b$ $a$', 'string:$a$ $b$ x $b$ $a$'],
  ['tags that are nearly the end', '$a$ $A$ $aa$ a$ $a$', 'string:$a$ $A$ $aa$ a$ $a$'],
  ['an end behind another dollar', '$$a$b$$', 'string:$$a$b$$'],
  ['a tag beyond ASCII', '$ä$x$ä$', 'string:$ä$x$ä$'],
  ['a tag that begins with a digit is none', '$1$ $2', 'parameter:$1 symbol:$ parameter:$2'],
  ['a dollar that is no quote', 'a = $ b', 'word:a symbol:= symbol:$ word:b'],
  ['a tag that is no quote', '$foo + 1', 'symbol:$ word:foo symbol:+ number:1'],
  ['parameters', '$1 $23+$4', 'parameter:$1 parameter:$23 symbol:+ parameter:$4'],
  ['a parameter before a dollar quote', '$1$$x$$', 'parameter:$1 string:$$x$$'],
  [
    'numbers',
    '1 1.5 .5 5. 1e5 1E-5 1.5e+10',
    'number:1 number:1.5 number:.5 number:5. number:1e5 number:1E-5 number:1.5e+10',
  ],
  ['numbers of other radices', '0x1F 0o17 0B11 0x_1f', 'number:0x1F number:0o17 number:0B11 number:0x_1f'],
  ['underscores in numbers', '1_000 1_000.5_0', 'number:1_000 number:1_000.5_0'],
  ['a range', '1..2', 'number:1 symbol:. number:.2'],
  ['a slice', 'a[1:2]', 'word:a symbol:[ number:1 symbol:: number:2 symbol:]'],
  ['letters behind a number', '1into 0xg 1e', 'number:1 word:into number:0 word:xg number:1 word:e'],
  ['a minus behind a number', '1-1 1e-x', 'number:1 symbol:- number:1 number:1 word:e symbol:- word:x'],
  ['an escape string behind a number', "1e'\\''", "number:1 string:e'\\''"],
  ['semicolons', ';a;;', 'semicolon:; word:a semicolon:; semicolon:;'],
  ['operators byte by byte', 'a<=b::c', 'word:a symbol:< symbol:= word:b symbol:: symbol:: word:c'],
  ['a comment to the end of the line', 'a -- it\'s; "\nb', 'word:a word:b'],
  ['a comment that a carriage return ends', 'a --x\rb', 'word:a word:b'],
  ['a comment at the end', 'a --', 'word:a'],
  ['a comment that begins inside an operator', 'a +--b\n c', 'word:a symbol:+ word:c'],
  ['minus signs with a blank', '1 - -1', 'number:1 symbol:- symbol:- number:1'],
  ['a block comment', 'a/*\'; " $$*/b', 'word:a word:b'],
  ['nested block comments', 'a /* b /* c */ d */ e', 'word:a word:e'],
  ['block comments with many stars and slashes', 'a /***/ b /*/ c */ d /* //* */ */ e', 'word:a word:b word:d word:e'],
  ['a block comment that begins inside an operator', 'a +/* b */ c', 'word:a symbol:+ word:c'],
  ['a line comment inside a block comment', 'a /* -- */ b', 'word:a word:b'],
  ['a block comment inside a line comment', 'a -- /*\n b', 'word:a word:b'],
  ['comment signs inside strings and names', '\'--\' "/*" $$--$$', 'string:\'--\' name:"/*" string:$$--$$'],
  ['a division', 'a / b', 'word:a symbol:/ word:b'],
  ['a string that goes on in the next line', "'a'\n'b' c", "string:'a'\n'b' word:c"],
  ['an escape string that goes on as one', "E'a' \r\n 'b\\'c' d", "string:E'a' \r\n 'b\\'c' word:d"],
  ['a string that goes on behind a comment', "'a' -- x\n -- y\n'b'", "string:'a' -- x\n -- y\n'b'"],
  ['a string that goes on twice', "'a'\n'b'\n'c'", "string:'a'\n'b'\n'c'"],
  ['strings in one line', "'a' 'b'", "string:'a' string:'b'"],
  ['strings with a block comment between', "'a' /*\n*/ 'b'", "string:'a' string:'b'"],
  ['a string before a minus', "'a'\n-'b'", "string:'a' symbol:- string:'b'"],
  ['a bit string that goes on', "B'0'\n'1'", "string:B'0'\n'1'"],
  ['a Unicode string that goes on', "U&'a'\n'b'", "string:U&'a'\n'b'"],
  ['an escape string behind a string is another', "'a'\nE'\\''", "string:'a' string:E'\\''"],
  ['a dollar quote does not go on', "$$a$$\n'b'", "string:$$a$$ string:'b'"],
  ['control bytes', '\u0001\u007f', 'symbol:\u0001 symbol:\u007f'],
];

for (const [what, text, expected] of rows) {
  test(`reads ${what}`, () => {
    assert.equal(line(text), expected);
  });
}

const withEscapes: readonly (readonly [text: string, expected: string])[] = [
  ["'a\\'b' c", "string:'a\\'b' word:c"],
  ["'\\\\' c", "string:'\\\\' word:c"],
  ["N'a\\'b' c", "string:N'a\\'b' word:c"],
  ["'a'\n'\\'b' c", "string:'a'\n'\\'b' word:c"],
  ["B'0\\' c", "string:B'0\\' word:c"],
  ["B'0''\\' c' d", "string:B'0' string:'\\' c' word:d"],
  ["U&'a\\' c", "string:U&'a\\' word:c"],
  ['"a\\" c', 'name:"a\\" word:c'],
  ['$$a\\$$ c', 'string:$$a\\$$ word:c'],
];

for (const [text, expected] of withEscapes) {
  test(`reads ${text} while standard_conforming_strings is off`, () => {
    assert.equal(line(text, true), expected);
  });
}

const unfinished = [
  "'a",
  "'a''",
  "'",
  "E'a\\'",
  "e'",
  "B'01",
  "N'a",
  "U&'a",
  '"a',
  '"a""',
  'U&"a',
  '$$a$',
  '$a$ b $a',
  '$a$ b $A$',
  '/* a',
  '/* /* */',
  '/*/',
  "'a'\n'b",
  "select 1; 'a",
];

for (const text of unfinished) {
  test(`says that ${text} does not end`, () => {
    assert.equal(tokens(text), null);
  });
}

test('says that a backslash at the end does not end a string while standard_conforming_strings is off', () => {
  assert.equal(tokens("'a\\'", true), null);
  assert.equal(tokens("'a\\", true), null);
});
