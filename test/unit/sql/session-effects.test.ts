import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { PinReason } from '../../../src/sql/pin-reason.js';
import { pinned, sessionEffects } from '../../../src/sql/session-effects.js';
import type { SessionEffects } from '../../../src/sql/session-effects.js';
import { statementGroups } from '../../support/session-statements.js';

function effectsOf(sql: string, options: { escapes?: boolean; inTransaction?: boolean } = {}): SessionEffects {
  const bytes = Buffer.from(`x${sql}'`);
  return sessionEffects(bytes, 1, bytes.length - 1, options.escapes ?? false, options.inTransaction ?? false);
}

/** The effects in the words of the tables. */
function describe(effects: SessionEffects): string {
  const parts: string[] = [];
  if (effects.pins.length > 0) parts.push(`pins ${effects.pins.join('+')}`);
  if (effects.unpins.length > 0) parts.push(`unpins ${effects.unpins.join('+')}`);
  if (effects.setting !== null) parts.push(`set ${effects.setting.name}`);
  if (effects.resets.length > 0) parts.push(`resets ${effects.resets === 'all' ? 'all' : effects.resets.join('+')}`);
  if (effects.deallocates === 'all') parts.push('deallocates all');
  else if (effects.deallocates.length > 0) {
    parts.push(
      `deallocates ${effects.deallocates.map((name) => (name === 'all' ? 'the statement named all' : name)).join('+')}`,
    );
  }
  if (effects.begins) parts.push('begins');
  if (effects.controlsTransaction) parts.push('controls');
  return parts.join(', ');
}

function shorten(sql: string): string {
  return sql === '' ? 'an empty string' : sql.length > 90 ? `${sql.slice(0, 90)}...` : sql;
}

for (const [group, rows] of Object.entries(statementGroups)) {
  for (const [sql, expected] of rows) {
    test(`${group}: ${shorten(sql)} -> ${expected === '' ? 'nothing' : expected}`, () => {
      assert.equal(describe(effectsOf(sql)), expected);
    });
  }
}

test('there are more than 120 statements in the tables, each once in its group', () => {
  const rows = Object.values(statementGroups).flat();
  assert.ok(rows.length > 120);
  for (const group of Object.values(statementGroups))
    assert.equal(new Set(group.map(([sql]) => sql)).size, group.length);
});

test('the text of a setting is kept as it is, without what stands around it', () => {
  assert.deepEqual(effectsOf("  /* a */ SET /* b */ app.name = 'A;b' -- c\n ; ").setting, {
    name: 'app.name',
    sql: "SET /* b */ app.name = 'A;b'",
  });
});

test('the bytes of a setting and of names are kept in every encoding', () => {
  const bytes = Buffer.from("SET app.name = '\xe9'", 'latin1');
  const { setting } = sessionEffects(bytes, 0, bytes.length, false, false);
  assert.deepEqual(Buffer.from(setting?.sql ?? '', 'latin1'), bytes);
  const names = effectsOf('DEALLOCATE "Ünïcode"; DEALLOCATE ÜNI').deallocates;
  assert.ok(names !== 'all');
  assert.deepEqual(
    names.map((name) => Buffer.from(name, 'latin1').toString('utf8')),
    ['Ünïcode', 'Üni'],
  );
});

test('in a transaction a setting pins, and nothing is taken back, because a ROLLBACK would undo it', () => {
  assert.equal(describe(effectsOf('SET search_path = a', { inTransaction: true })), 'pins setting');
  assert.equal(describe(effectsOf('RESET search_path', { inTransaction: true })), 'pins setting');
  assert.equal(describe(effectsOf('RESET ALL', { inTransaction: true })), 'pins setting');
  assert.equal(describe(effectsOf('UNLISTEN *', { inTransaction: true })), '');
  assert.equal(describe(effectsOf('SET LOCAL search_path = a', { inTransaction: true })), '');
  assert.equal(describe(effectsOf('DEALLOCATE ALL', { inTransaction: true })), 'deallocates all');
  assert.equal(describe(effectsOf('CREATE TEMP TABLE t (a int)', { inTransaction: true })), 'pins temporary_object');
});

test('backslashes are read as standard_conforming_strings says', () => {
  const sql = "SELECT '\\'; LISTEN x; --'";
  assert.equal(describe(effectsOf(sql)), 'pins listen');
  assert.equal(describe(effectsOf(sql, { escapes: true })), '');
});

test('a string continued in another line hides what looks like a statement', () => {
  assert.equal(describe(effectsOf("SELECT E'a'\n'\\'; LISTEN x; --'")), '');
});

test('pinned makes effects of one pin', () => {
  assert.equal(describe(pinned(PinReason.StatementTooLarge)), 'pins statement_too_large');
});

const leaving: readonly string[] = [
  'CREATE TEMP TABLE t (a int)',
  'LISTEN x',
  'SELECT pg_advisory_lock(1)',
  'DECLARE c CURSOR WITH HOLD FOR SELECT 1',
  'PREPARE p AS SELECT 1',
  'SET search_path = a',
  'SELECT 1 INTO TEMP t',
  "SELECT set_config('a', 'b', false)",
];
const around = fc.constantFrom(
  '',
  ' ',
  '\n\t',
  '-- LISTEN\n',
  "/* ' */",
  '/* /* " */ $$ */',
  ';',
  'SELECT 1;',
  'SELECT \';\', ";", $a$;$a$;',
  'UPDATE t SET a = 1;',
);

test('what is left behind is seen wherever it stands, in whatever case and between whatever comments', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...leaving),
      around,
      around,
      fc.constantFrom(' ', '\n', '/* x */', ' -- y\n'),
      fc.boolean(),
      (statement, before, behind, blank, isLower) => {
        const cased = isLower ? statement.toLowerCase() : statement;
        const effects = effectsOf(`${before}${cased.replaceAll(' ', blank)};${behind}`);
        const alone = effectsOf(statement);
        if (alone.setting === null) assert.deepEqual(effects.pins, alone.pins);
        else assert.ok(effects.setting?.name === alone.setting.name || effects.pins.includes(PinReason.Setting));
      },
    ),
    { numRuns: 3000 },
  );
});

test('never throws', () => {
  const word = fc.constantFrom(
    ...'set reset session local to = role authorization default names time zone . "a" ( ) , true set_config create temp table into explain analyze discard all deallocate prepare ; select'.split(
      ' ',
    ),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 25 }), fc.boolean(), (words, inTransaction) => {
      effectsOf(words.join(' '), { inTransaction });
    }),
    { numRuns: 5000 },
  );
});
