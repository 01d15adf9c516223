import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { runCommand } from '../../../src/cli/command.js';

async function complaintOf(t: TestContext, argv: readonly string[]): Promise<string> {
  const said: string[] = [];
  const mock = t.mock.method(console, 'error', (text: string) => void said.push(text));
  try {
    assert.equal(await runCommand(argv), 64, argv.join(' '));
  } finally {
    mock.mock.restore();
  }
  return said.join('\n');
}

test('options are those of the command', async (t) => {
  const cases: readonly (readonly [argv: readonly string[], complaint: RegExp])[] = [
    [['status', '--wait'], /"status" has no option --wait/],
    [['run', '--json'], /"run" has no option --json/],
    [['drain', '--to', 'node2'], /"drain" has no option --to/],
    [['switchover', '--node', 'node2'], /"switchover" has no option --node/],
    [['forget-past', '--timeout', '1s'], /"forget-past" has no option --timeout/],
    [['drain', '--node', 'a', '--primary'], /--node and --primary exclude each other/],
    [['drain', '--timeout', '5'], /--timeout: /],
    [['drain', '--timeout', '11m'], /--timeout: at most 10m/],
    [['drain', 'node1'], /unexpected "node1"/],
    [['explain', '--database', 'app'], /"explain" needs a statement/],
    [['explain', 'select 1'], /"explain" needs either --database or --catalog/],
    [['explain', '--database', 'app', '--catalog', 'x.json', 'select 1'], /needs either/],
    [['explain', '--database', 'app', 'select', '1'], /unexpected "1"/],
    [['explain', '--wait', 'select 1'], /"explain" has no option --wait/],
    [['derail'], /unknown command "derail"/],
    [['drain', '--frm'], /--frm/],
  ];
  for (const [argv, complaint] of cases) assert.match(await complaintOf(t, argv), complaint);
});

test('the help names every command', async (t) => {
  const said: string[] = [];
  t.mock.method(console, 'log', (text: string) => void said.push(text));
  assert.equal(await runCommand(['--help']), 0);
  for (const command of ['run', 'check', 'explain', 'status', 'drain', 'switchover', 'forget-past', 'import', 'demo']) {
    assert.match(said.join('\n'), new RegExp(`^  ${command} `, 'm'));
  }
});
