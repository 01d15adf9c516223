import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { lex } from '../../src/sql/lexer.js';
import { startPostgres } from '../support/postgres-server.js';
import { RawClient } from '../support/raw-client.js';
import { roles } from '../support/roles.js';

const RUNS = 5000;

/** Pieces of strings, names and comments, put together without sense. */
const texts = fc
  .array(
    fc.constantFrom(
      ...["'", "'", '"', '$', '$$', '$a$', '-', '--', '/', '/*', '*/', '\\', ';', '&', '.', ' ', '\n', "'\n", "\n'"],
      ...["E'", "e'", "B'", "x'", "N'", "U&'", 'U&"', 'e', 'u', '0', '1', 'a', '_', 'é', 'select '],
    ),
    { minLength: 1, maxLength: 14 },
  )
  .map((pieces) => `select ${pieces.join('')}`);

for (const conforming of ['on', 'off'] as const) {
  test(`PostgreSQL finds the ends of strings, names and comments where the lexer does (standard_conforming_strings ${conforming})`, async (t) => {
    const server = await startPostgres(t);
    const client = await RawClient.login({ port: server.port, ...roles.superuser });
    t.after(() => client.destroy());
    for (const setting of [`standard_conforming_strings = ${conforming}`, 'backslash_quote = on']) {
      await client.rows(`set ${setting}`);
    }
    let seen = 0;
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const bytes = Buffer.from(text);
        const isComplete = lex(bytes, 0, bytes.length, conforming === 'off', () => {});
        const { error } = await client.query(text);
        // A mistake of grammar is told before the end of the text has been read.
        if (error === null) assert.ok(isComplete, 'PostgreSQL ran it');
        if (error?.message.startsWith('unterminated')) assert.ok(!isComplete, error.message);
        if (error === null || error.message.startsWith('unterminated')) seen += 1;
      }),
      { numRuns: RUNS },
    );
    assert.ok(seen > RUNS / 10, `only ${seen} texts told anything`);
  });
}
