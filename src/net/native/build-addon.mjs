// Builds the addon where that is possible, and says in one line when it is not: then Node alone moves the bytes. npm runs it with `npm
// install` and `npm rebuild`, which it never fails. By hand: `npm run build-addon`; with `-- --sanitized` it builds another one beside it,
// for the tests of the addon under AddressSanitizer, and that may fail.

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const isSanitized = process.argv.includes('--sanitized');
const folder = fileURLToPath(new URL('.', import.meta.url));
const addon = fileURLToPath(new URL('build/Release/switchyard_native.node', import.meta.url));
const log = fileURLToPath(new URL('build/tried.log', import.meta.url));

/** Null, or why there is no addon. */
function build() {
  if (process.platform !== 'linux') return `it runs on Linux only, and this is ${process.platform}`;
  // The one that npm brings along.
  const nodeGyp = process.env.npm_config_node_gyp;
  if (nodeGyp === undefined) return 'npm has to build it: npm run build-addon';
  const steps = isSanitized ? ['configure', 'build', '--debug'] : ['rebuild'];
  const built = spawnSync(process.execPath, [nodeGyp, ...steps, '--directory', folder], { encoding: 'utf8' });
  if (built.status !== 0) {
    mkdirSync(new URL('build/', import.meta.url), { recursive: true });
    writeFileSync(log, `${built.stdout}${built.stderr}`);
    return `it needs a C++ compiler, make, Python and the headers of Node; what was tried is in ${log}`;
  }
  if (isSanitized) return null;
  const loaded = spawnSync(process.execPath, ['-e', 'require(process.argv[1])', addon], { encoding: 'utf8' });
  return loaded.status === 0 ? null : `it was built, and cannot be loaded: ${loaded.stderr.trim()}`;
}

const why = build();
if (why !== null) {
  process.stderr.write(`pg-switchyard: no native engine, Node alone will move the bytes: ${why}\n`);
  if (isSanitized) process.exitCode = 1;
}
