import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { SwitchyardProcess, runSwitchyard } from '../../support/switchyard-process.js';

/** A stand-in for the built program that says what it was given. */
async function program(t: TestContext, body: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-stand-in-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'main.mjs');
  const head = `import { readFileSync } from 'node:fs';
    const say = (record) => console.log(JSON.stringify(record));
    const [command, flag, file] = process.argv.slice(2);
    process.on('SIGTERM', () => process.exit(0));
    const alive = () => setInterval(() => {}, 1000);\n`;
  await writeFile(file, head + body);
  return file;
}

const config = {
  listeners: [
    { name: 'split', address: '127.0.0.1:0' },
    { name: 'primary', address: '127.0.0.1:0' },
  ],
  admin: { address: '127.0.0.1:0' },
};

test('waits until every listener and the admin server listen, and knows their ports', async (t) => {
  const stand = await program(
    t,
    `say({ msg: 'listening', listener: 'split', port: 1001, read: readFileSync(file, 'utf8'), name: process.env.NAME, command, flag });
     setTimeout(() => say({ msg: 'listening', listener: 'primary', port: 1002 }), 100);
     setTimeout(() => say({ msg: 'admin listening', port: 1003 }), 200);
     process.on('SIGHUP', () => say({ msg: 'reloaded', read: readFileSync(file, 'utf8') }));
     alive();`,
  );
  const started = await SwitchyardProcess.start(t, config, { program: stand, env: { NAME: 'value' } });
  assert.equal(started.port(), 1001);
  assert.equal(started.port('primary'), 1002);
  assert.equal(started.adminPort, 1003);
  assert.throws(() => started.port('other'), /no listener other/);
  const [first] = started.records('listening');
  assert.equal(first?.['name'], 'value');
  assert.equal(first?.['command'], 'run');
  assert.equal(first?.['flag'], '--config');
  assert.match(String(first?.['read']), /name: split/);

  await started.rewriteConfig('listeners: []\n');
  started.reload();
  const reloaded = await started.waitForRecord((record) => record['msg'] === 'reloaded', 'the reload');
  assert.equal(reloaded['read'], 'listeners: []\n');
  assert.equal(await started.stop(), 0);
});

test('a program that ends instead of listening is reported with its log', async (t) => {
  const stand = await program(t, `console.error('the configuration is wrong'); process.exitCode = 2;`);
  await assert.rejects(
    SwitchyardProcess.start(t, config, { program: stand }),
    /the program ended with 2\nthe configuration is wrong/,
  );
});

test('text is taken as YAML, and a program without admin server is ready without it', async (t) => {
  const stand = await program(t, `say({ msg: 'listening', listener: 'a', port: 5 }); alive();`);
  const started = await SwitchyardProcess.start(t, 'listeners: [{ name: a, address: "127.0.0.1:0" }]', {
    program: stand,
  });
  assert.equal(started.port('a'), 5);
  assert.throws(() => started.adminPort, /no admin server/);
});

test('the configuration file goes with the test', async (t) => {
  const stand = await program(t, `say({ msg: 'listening', listener: 'a', port: 5 }); alive();`);
  let file = '';
  await t.test('inner', async (inner) => {
    file = (await SwitchyardProcess.start(inner, 'listeners: [{}]', { program: stand })).configFile;
    assert.equal(existsSync(file), true);
  });
  assert.equal(existsSync(file), false);
});

test('a command runs to its end and gives its code and output', async (t) => {
  const stand = await program(t, `console.log(command, flag); console.error('no'); process.exitCode = 4;`);
  const { code, output } = await runSwitchyard(['check', '--all'], { program: stand });
  assert.equal(code, 4);
  assert.match(output, /check --all/);
  assert.match(output, /no/);
});
