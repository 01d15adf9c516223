import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { AdminServer } from '../../../src/admin/server.js';
import { answerExplain } from '../../../src/admin/explain-route.js';
import { explainText, STATEMENTS_MAX } from '../../../src/admin/explain.js';
import type { ExplainDocument, ExplainParts } from '../../../src/admin/explain.js';
import { wordsOf } from '../../../src/admin/explain-words.js';
import { Access, noNames } from '../../../src/sql/analysis.js';
import { Catalog } from '../../../src/sql/catalog.js';
import { ReadObstacle } from '../../../src/sql/read-obstacle.js';
import { FakeClock } from '../../support/fake-clock.js';
import { builtInSnapshot, placed } from '../sql/catalog-rows.js';
import { StatementReader } from '../sql/read-statements.js';
import { proxyOf } from './proxy-of.js';

let parts: ExplainParts;
const builtIn = builtInSnapshot();
const snapshot = {
  ...builtIn,
  functions: [...builtIn.functions, { ...placed('app.touch'), isVolatile: true }],
  views: [
    {
      ...placed('app.counted'),
      reading: {
        access: Access.Read,
        names: { ...noNames, functions: [{ schema: 'app', name: 'touch' }] },
      },
    },
    {
      ...placed('app.over'),
      reading: { access: Access.Read, names: { ...noNames, relations: [{ schema: 'app', name: 'counted' }] } },
    },
  ],
};

before(async () => {
  const { parser, analyzer } = await StatementReader.load();
  const catalog = new Catalog(snapshot, { readFunctions: [], writeFunctions: [] });
  parts = { parser, analyzer, catalogOf: () => catalog, troubleOf: () => null };
});

function explain(sql: string, over: Partial<ExplainParts> = {}): ExplainDocument {
  return explainText(sql, 'app', { ...parts, ...over });
}

/** Targets and reasons of all statements. */
function say(sql: string): string {
  return explain(sql)
    .statements.map(({ target, reason }) => `${target} ${reason}`)
    .join(', ');
}

test('each statement is told by itself, with its template, and the text as a whole', () => {
  const document = explain("select 1;\n -- a comment\n select now() from t where a = 'x';; select app.touch(1)");
  assert.deepEqual(
    document.statements.map(({ statement, target }) => [statement, target]),
    [
      ['select 1', 'standby'],
      ["-- a comment\n select now() from t where a = 'x'", 'standby'],
      ['select app.touch(1)', 'primary'],
    ],
  );
  const [first, second] = document.statements;
  assert.equal(first?.template, explain('select 2').statements[0]?.template);
  assert.match(second?.template ?? '', /^select now\(\).*where a/);
  assert.doesNotMatch(second?.template ?? '', /x|comment/);
  assert.equal(document.target, 'primary');
  assert.deepEqual(document.catalog, { serverVersion: 150_020, functions: snapshot.functions.length, views: 2 });
  assert.equal(explain('select 1; select 2').target, 'standby');
  assert.equal(explain(' -- nothing').target, null);
});

test('what stands in the way is told by name, and how to allow it', () => {
  const [touch] = explain('select touch(1)').statements;
  assert.equal(touch?.name, 'app.touch');
  assert.match(touch.why, /app\.touch\(\) is volatile/);
  assert.match(touch.remedy ?? '', /routing\.read_functions: \[app\.touch\]/);
  const [over] = explain('select * from over').statements;
  assert.deepEqual(
    over?.within.map(({ obstacle, name }) => `${obstacle} ${name}`),
    ['view_not_read app.counted', 'volatile_function app.touch'],
  );
  assert.match(over.remedy ?? '', /\[app\.touch\]/);
  // There is no point in allowing nextval().
  const [next] = explain('select nextval($$s$$)').statements;
  assert.equal(next?.name, 'nextval');
  assert.equal(next.remedy, null);
  assert.match(explain('select query_to_xml(a, b, c, d)').statements[0]?.remedy ?? '', /\[query_to_xml\]/);
});

test('statements of a transaction go where it is', () => {
  assert.equal(
    say('begin; select 1; commit; select 1'),
    'primary transaction, primary transaction, primary transaction, standby read',
  );
  assert.equal(
    say('begin read only; select 1; savepoint a; rollback to a; commit; update t set a = 1'),
    'standby read, standby transaction, standby transaction, standby transaction, standby transaction, primary write',
  );
  assert.equal(say('begin isolation level serializable read only'), 'primary transaction');
  assert.equal(say('begin read only; select app.touch(1)'), 'standby read, primary volatile_function');
  assert.equal(
    say('begin; commit and chain; select 1; prepare transaction $$x$$; select 1'),
    'primary transaction, primary transaction, primary transaction, primary transaction, standby read',
  );
});

test('a comment that asks for the primary is obeyed, and one that is not understood is told', () => {
  assert.equal(say('/* switchyard: primary */ select 1; select 2'), 'primary hint, standby read');
  // Behind the last statement it is about the text as a whole.
  const behind = explain('select 1; /* switchyard: primary */');
  assert.deepEqual([behind.target, behind.statements[0]?.target], ['primary', 'standby']);
  const [invalid] = explain('select 1 -- switchyard: standby').statements;
  assert.deepEqual([invalid?.target, invalid?.hint], ['primary', 'invalid']);
  assert.match(invalid?.why ?? '', /not understood/);
});

test('what is no SQL is told with its place, in characters', () => {
  assert.deepEqual(explain("select 'ärger',\n  frm x y z").mistake, {
    message: 'syntax error at or near "y"',
    line: 2,
    column: 9,
  });
  assert.deepEqual(explain("select 'open").mistake?.line, 1);
  assert.match(explain(`select ${'1,'.repeat(100_000)}1`).mistake?.message ?? '', /too long/);
  assert.match(explain('select 1;'.repeat(STATEMENTS_MAX + 1)).mistake?.message ?? '', /more than/);
  assert.equal(explain('select 1;'.repeat(STATEMENTS_MAX)).mistake, null);
});

test('without a catalogue it says so', () => {
  const document = explain('select now(); select 1', { catalogOf: () => null, troubleOf: () => 'permission denied' });
  assert.equal(document.catalog, null);
  assert.equal(document.trouble, 'permission denied');
  assert.deepEqual(
    document.statements.map(({ reason }) => reason),
    ['no_catalog', 'read'],
  );
});

test('every obstacle has words of its own', () => {
  const words = Object.values(ReadObstacle).map((obstacle) => wordsOf(obstacle, 'app.x').why);
  assert.equal(new Set(words).size, words.length);
  for (const why of words) assert.match(why, /^[A-Za-z].*\.$/);
  assert.match(wordsOf(ReadObstacle.VolatileFunction, 'app."Odd it\'s"').remedy ?? '', /\['app\."Odd it''s"'\]/);
});

test('over HTTP it waits for a catalogue that is being loaded, and not for ever', async () => {
  const clock = new FakeClock();
  const ask = async (query: string, over: Partial<ExplainParts> = {}): Promise<[number, ExplainDocument]> => {
    let isAnswered = false;
    const answer = answerExplain(new URLSearchParams(query), { ...parts, ...over }, clock).finally(() => {
      isAnswered = true;
    });
    for (let turn = 0; turn < 1_000 && !isAnswered; turn += 1) {
      await new Promise((resolve) => void setImmediate(resolve));
      clock.advance(25);
    }
    const { status, body } = await answer;
    return [status, JSON.parse(body) as ExplainDocument];
  };
  assert.equal((await ask('database=app&sql=select+now()'))[1].target, 'standby');
  let looks = 0;
  const slow = (database: string): Catalog | null => ((looks += 1) > 10 ? parts.catalogOf(database) : null);
  assert.equal((await ask('database=app&sql=select+now()', { catalogOf: slow }))[1].target, 'standby');
  const beganAtMs = clock.nowMs();
  assert.equal((await ask('database=app&sql=select+now()', { catalogOf: () => null }))[1].catalog, null);
  assert.ok(clock.nowMs() - beganAtMs < 4_000);
  for (const query of [
    '',
    'database=app',
    'sql=select+1',
    'database=app&sql=+',
    `database=${'x'.repeat(64)}&sql=select+1`,
  ]) {
    assert.equal((await ask(query))[0], 400, query);
  }
  assert.equal((await answerExplain(new URLSearchParams('database=a&sql=b'), undefined, clock)).status, 503);
});

test('the admin server answers it, and says when it cannot yet', async (t) => {
  for (const [explain, status] of [
    [parts, 200],
    [undefined, 503],
  ] as const) {
    const admin = await AdminServer.open(Object.assign(proxyOf(), { explain }), { host: '127.0.0.1', port: 0 });
    t.after(() => admin.close());
    const url = `http://127.0.0.1:${admin.port}/api/v1/explain?database=app&sql=${encodeURIComponent('select touch(1)')}`;
    const answer = await fetch(url);
    assert.equal(answer.status, status);
    const { statements } = (await answer.json()) as Partial<ExplainDocument>;
    if (status === 200) assert.equal(statements?.[0]?.name, 'app.touch');
  }
});
