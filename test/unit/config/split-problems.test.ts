import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MINIMAL, shortProblems } from './config-text.js';

/** Asserts that text appended to the minimal file (from its line 6 on) gives exactly these problems. */
function appended(text: string, ...expected: readonly string[]): void {
  assert.deepEqual(shortProblems(MINIMAL + text), expected);
}

/** Asserts the problems of the minimal file with one part of it replaced. */
function replaced(part: string, by: string, ...expected: readonly string[]): void {
  assert.ok(MINIMAL.includes(part));
  assert.deepEqual(shortProblems(MINIMAL.replace(part, by)), expected);
}

test('options of other routes are refused', () => {
  replaced(
    'route: primary }',
    'route: primary, fallback: wait, prefer: sync, consistency: session, tags: { a: b } }',
    '5:75 listeners[0].fallback: is only for listeners with route: standby or split',
    '5:89 listeners[0].prefer: is only for listeners with route: standby or split',
    '5:108 listeners[0].consistency: is only for listeners with route: split',
    '5:117 listeners[0].tags: is only for listeners with route: standby or split',
  );
  replaced(
    'route: primary }',
    'route: standby, fallback: wait, consistency: eventual }',
    '5:94 listeners[0].consistency: is only for listeners with route: split',
  );
  replaced('route: primary }', 'route: split, fallback: error, prefer: async, tags: { a: b }, consistency: database }');
});

test('what split sessions go by is told with what it can be', () => {
  replaced(
    'route: primary }',
    'route: spilt, consistency: sesion }',
    '5:56 listeners[0].route: "spilt" is not one of primary, standby, split; did you mean "split"?',
    '5:76 listeners[0].consistency: "sesion" is not one of session, eventual, database; did you mean "session"?',
  );
  appended(
    `routing:
  consistency: strong
  stickiness: node
  fence_wait: 50
  slow_start: 2h
  standby_idle: 0
  catalog_refresh: 10ms
  zone: 1
  slow_strat: 1s
`,
    '7:16 routing.consistency: "strong" is not one of session, eventual, database',
    '8:15 routing.stickiness: "node" is not one of session, none; did you mean "none"?',
    '9:15 routing.fence_wait: 50 has no unit: write 50ms, 50s, 50m, 50h or 50d',
    '10:15 routing.slow_start: 2h is out of range: at least 0, at most 1h',
    '11:17 routing.standby_idle: 0 is out of range: at least 1s, at most 24d',
    '12:20 routing.catalog_refresh: 10ms is out of range: at least 1s, at most 1d',
    '13:9 routing.zone: must be a text: put it in quotes',
    '14:3 routing.slow_strat: is not a known key; did you mean "slow_start"?',
  );
  appended('routing: { fence_wait: 11s }\n', '6:24 routing.fence_wait: 11s is out of range: at least 0, at most 10s');
  appended('routing: { fence_wait: 0, slow_start: 0 }\n');
  appended(
    'consistency: session\n',
    '6:1 consistency: is not a known key here; did you mean "listeners[].consistency"?',
  );
});

test('functions are named without their arguments, in one list', () => {
  const lists = (read: string, write = '[]'): string =>
    `routing:\n  read_functions: ${read}\n  write_functions: ${write}\n`;
  appended(lists('now_cached'), '7:19 routing.read_functions: must be a list, not "now_cached"');
  appended(lists('[5]'), '7:20 routing.read_functions[0]: must be the name of a function');
  appended(lists('[f, ""]'), '7:23 routing.read_functions[1]: must be the name of a function');
  appended(
    lists('[f, "g()", "app.g(int, text)"]'),
    '7:23 routing.read_functions[1]: "g()": write the name without its arguments; it stands for every function of that name',
    '7:30 routing.read_functions[2]: "app.g(int, text)": write the name without its arguments; it stands for every function of that name',
  );
  for (const name of ['a.b.c', 'a b', 'a.', '.a', 'a..b', '1a', 'a-b', "'\"a'", '\'""\'']) {
    const shown = name.replaceAll("'", '');
    const message = `"${shown}" is not the name of a function: write name or schema.name`;
    appended(lists('[]', `[${name}]`), `8:21 routing.write_functions[0]: ${message}`);
  }
  appended(
    lists('[F, app.g]', '[h, f, App."g", "app.h"]'),
    '8:24 routing.write_functions[1]: f is in read_functions too: keep one of them',
    '8:27 routing.write_functions[2]: app.g is in read_functions too: keep one of them',
  );
});
