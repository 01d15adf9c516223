import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { NamesUsed, QualifiedName } from '../../../src/sql/analysis.js';
import { StatementReader } from './read-statements.js';

let reader: StatementReader;

before(async () => {
  reader = await StatementReader.load();
});

function namesOf(sql: string): NamesUsed {
  const [statement] = reader.analyze(sql).statements;
  assert.ok(statement !== undefined, sql);
  return statement.names;
}

/** In words, sorted: `app.f g`. */
function inWords(names: readonly QualifiedName[]): string {
  return names
    .map(({ schema, name }) => (schema === null ? name : `${schema}.${name}`))
    .toSorted()
    .join(' ');
}

const functionRows: readonly (readonly [sql: string, functions: string])[] = [
  ['SELECT 1', ''],
  ['SELECT f(1), F(2), "F"(3), a.f(4), b.a.f(5)', 'F a.f f'],
  ['SELECT f(g(h(1)))', 'f g h'],
  ['SELECT CURRENT_USER, CURRENT_TIMESTAMP, LOCALTIME(3), CURRENT_SCHEMA', ''],
  ['SELECT coalesce(f(1), 2), greatest(g(1)), nullif(h(1), 1)', 'f g h'],
  [
    "SELECT extract(year FROM f(1)), a AT TIME ZONE 'UTC', a LIKE 'x' ESCAPE 'y' FROM t",
    'f pg_catalog.extract pg_catalog.like_escape pg_catalog.timezone',
  ],
  ['SELECT sum(f(1)) FILTER (WHERE g(1)) OVER (PARTITION BY h(1) ORDER BY i(1)) FROM t', 'f g h i sum'],
  ['SELECT 1 FROM t LIMIT f(1) OFFSET g(1)', 'f g'],
  ['VALUES (f(1)), (2)', 'f'],
  ['SELECT * FROM f(1), ROWS FROM (g(1), h(2)) r, LATERAL i(1) l', 'f g h i'],
  ['SELECT * FROM t TABLESAMPLE system (f(1)) REPEATABLE (g(1))', 'f g system'],
  ['SELECT * FROM t TABLESAMPLE x.sample (1)', 'x.sample'],
  ['SELECT * FROM xmltable(f(1) PASSING g(1) COLUMNS a int PATH h(1) DEFAULT i(1))', 'f g h i'],
  ["SELECT * FROM json_table(f(1), '$' PASSING g(1) AS x COLUMNS (a int PATH '$' DEFAULT h(1) ON EMPTY))", 'f g h'],
  ["SELECT json_value(f(1), '$' PASSING g(1) AS x), json_object('a': h(1)), json_array(i(1))", 'f g h i'],
  ['SELECT json_arrayagg(f(1)), json_objectagg(1: g(1)) FROM t', 'f g'],
  ['SELECT xmlelement(name a, xmlattributes(f(1) AS b), g(1)), xmlserialize(content h(1) AS text)', 'f g h'],
  ['SELECT a[f(1)], (g(1)).x, (h(1)).* FROM t', 'f g h'],
  ['WITH a AS (SELECT f(1)), b AS MATERIALIZED (SELECT g(1)) SELECT h(1)', 'f g h'],
  ['WITH RECURSIVE a AS (SELECT 1 UNION SELECT f(1) FROM a) CYCLE x SET y USING z SELECT 1', 'f'],
  ['SELECT 1 GROUP BY GROUPING SETS ((f(1)), (g(1))) HAVING h(1) = 1', 'f g h'],
  ['SELECT DISTINCT ON (f(1)) 1 ORDER BY g(1)', 'f g'],
  ['SELECT 1 FROM t WINDOW w AS (ORDER BY f(1) RANGE BETWEEN g(1) PRECEDING AND h(1) FOLLOWING)', 'f g h'],
  ['SELECT 1 UNION SELECT f(1) EXCEPT (SELECT g(1) LIMIT h(1))', 'f g h'],
  ['EXPLAIN SELECT f(1)', 'f'],
  ['EXPLAIN ANALYZE SELECT f(1)', 'f'],
  ['COPY (SELECT f(1)) TO STDOUT', 'f'],
  ['EXECUTE p (f(1), 2 + g(1))', 'f g'],
  ['PREPARE p AS SELECT f(1)', ''],
  ['DECLARE c CURSOR FOR SELECT f(1)', 'f'],
  ['CALL a.p(f(1))', 'a.p f'],
];

for (const [sql, functions] of functionRows) {
  test(`functions of ${sql}: ${functions === '' ? 'none' : functions}`, () => {
    assert.equal(inWords(namesOf(sql).functions), functions);
  });
}

const relationRows: readonly (readonly [sql: string, relations: string])[] = [
  ['SELECT 1', ''],
  ['SELECT * FROM t, S.t, "T", d.s.t, ONLY u', 'T s.t t u'],
  ['TABLE t', 't'],
  ['SELECT * FROM t AS x JOIN u AS y ON x.a = y.a WHERE EXISTS (SELECT FROM v)', 't u v'],
  ['COPY t TO STDOUT', 't'],
  ['COPY s.t (a) TO STDOUT', 's.t'],
  ['WITH w AS (SELECT * FROM t) SELECT * FROM w, u', 't u'],
  ['WITH w AS (SELECT * FROM w) SELECT * FROM w', 'w'],
  ['WITH RECURSIVE w AS (SELECT * FROM w) SELECT * FROM w', ''],
  ['WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a, b', 'b'],
  ['WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a, b', ''],
  ['WITH w AS (SELECT 1) SELECT * FROM s.w', 's.w'],
  ['SELECT * FROM (WITH w AS (SELECT 1) SELECT * FROM w) x, w', 'w'],
  ['SELECT * FROM w, (WITH w AS (SELECT 1) SELECT * FROM w) x', 'w'],
  ['WITH w AS (SELECT 1) SELECT * FROM (SELECT * FROM (SELECT * FROM w) a) b', ''],
  ['WITH w AS (SELECT 1) SELECT (SELECT a FROM w), EXISTS (SELECT FROM w) UNION SELECT 1 FROM w', ''],
  ['WITH w AS (WITH v AS (SELECT 1) SELECT * FROM v) SELECT * FROM v, w', 'v'],
  ['WITH v AS (SELECT 1), w AS (WITH v AS (SELECT * FROM v) SELECT * FROM v) SELECT * FROM w', ''],
  ['(WITH w AS (SELECT 1) SELECT * FROM w) UNION SELECT * FROM w', 'w'],
  ['WITH w AS (SELECT 1) DELETE FROM t USING w WHERE true', 't'],
  ['WITH "W" AS (SELECT 1) SELECT * FROM w', 'w'],
  ['EXPLAIN WITH w AS (TABLE t) TABLE w', 't'],
];

for (const [sql, relations] of relationRows) {
  test(`relations of ${sql}: ${relations === '' ? 'none' : relations}`, () => {
    assert.equal(inWords(namesOf(sql).relations), relations);
  });
}

const operatorRows: readonly (readonly [sql: string, operators: string])[] = [
  ['SELECT -1', ''],
  ['SELECT - a, @ b, a + b, a OPERATOR(s.+) b FROM t', '+ - @ s.+'],
  ['SELECT a = b, a <> b, a != b, a < b AND NOT c OR d FROM t', '< <> ='],
  ['SELECT a IN (1, 2), a NOT IN (3) FROM t', '<> ='],
  ['SELECT a IN (SELECT 1) FROM t', '='],
  ['SELECT a NOT IN (SELECT 1) FROM t', '='],
  ['SELECT a > ANY (SELECT 1), b ~~ ALL (ARRAY[1]) FROM t', '> ~~'],
  ['SELECT EXISTS (SELECT 1), (SELECT 1), ARRAY(SELECT 1)', ''],
  ['SELECT a BETWEEN 1 AND 2 FROM t', '<= >='],
  ['SELECT a NOT BETWEEN SYMMETRIC 1 AND 2 FROM t', '< >'],
  ['SELECT a LIKE 1, a NOT LIKE 1, a ILIKE 1, a SIMILAR TO 1 FROM t', '!~~ ~ ~~ ~~*'],
  ['SELECT a IS DISTINCT FROM b, nullif(a, b) FROM t', '='],
  ['SELECT CASE a WHEN 1 THEN 2 END FROM t', '='],
  ['SELECT CASE WHEN a THEN 2 END FROM t', ''],
  ['SELECT 1 FROM a JOIN b USING (c)', '='],
  ['SELECT 1 FROM a NATURAL JOIN b', '='],
  ['SELECT 1 FROM a JOIN b ON true CROSS JOIN c', ''],
  ['SELECT 1 FROM a ORDER BY b USING OPERATOR(s.<), c USING >', '> s.<'],
  ['SELECT (a, b) < (c, d), a || b, a -> b ->> c FROM t', '-> ->> < ||'],
];

for (const [sql, operators] of operatorRows) {
  test(`operators of ${sql}: ${operators === '' ? 'none' : operators}`, () => {
    assert.equal(inWords(namesOf(sql).operators), operators);
  });
}

const typeRows: readonly (readonly [sql: string, types: string])[] = [
  ["SELECT 1, 'a'", ''],
  ["SELECT 1::int, '1'::s.t, cast(2 AS \"T\"), date '2026-01-01', a.b 'x'", 'T a.b date pg_catalog.int4 s.t'],
  [
    "SELECT '{}'::mood[], 1::numeric(5, 2), '1'::timestamp with time zone",
    'mood pg_catalog.numeric pg_catalog.timestamptz',
  ],
  ['SELECT * FROM f(1) AS r (a int, b mood)', 'mood pg_catalog.int4'],
  ["SELECT * FROM xmltable('a' PASSING b COLUMNS a mood)", 'mood'],
  ["SELECT * FROM json_table('{}', '$' COLUMNS (a mood))", 'mood'],
  ["SELECT json_value('{}', '$' RETURNING mood), json_object(RETURNING s.t)", 'mood s.t'],
  ['SELECT xmlserialize(content a AS mood) FROM t', 'mood'],
];

for (const [sql, types] of typeRows) {
  test(`types of ${sql}: ${types === '' ? 'none' : types}`, () => {
    assert.equal(inWords(namesOf(sql).types), types);
  });
}

test('the last part of a.b and of (a).b may be a function', () => {
  assert.deepEqual(namesOf('SELECT a, b.c, d.e.f, (g).h, (i(1)).j.k[1].l, m.*, (n).* FROM t').attributes.toSorted(), [
    'c',
    'f',
    'h',
    'j',
    'k',
    'l',
  ]);
});

test('names keep their bytes, one character each', () => {
  const [statement] = reader.analyze('SELECT größe(1) FROM "Ünï"."日本"').statements;
  const utf8 = ({ schema, name }: QualifiedName): string =>
    Buffer.from(`${schema ?? ''}.${name}`, 'latin1').toString('utf8');
  assert.deepEqual(statement?.names.functions.map(utf8), ['.größe']);
  assert.deepEqual(statement?.names.relations.map(utf8), ['Ünï.日本']);
});

test('hundreds of WITH queries are gone through, each of which sees the one before it', () => {
  const queries = Array.from({ length: 600 }, (_, i) => `w${i + 1} AS (SELECT * FROM w${i})`).join(', ');
  assert.equal(inWords(namesOf(`WITH ${queries} SELECT * FROM w600, w601`).relations), 'w0 w601');
});
