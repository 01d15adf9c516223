/** A program for tests: listens with one engine (its name is the argument), says the port, and `hi` to whoever comes, until its input ends. */

import { openEngine } from '../../../src/net/open-engine.js';

const { engine } = openEngine(process.argv[2] === 'native' ? 'native' : 'stream');
const listener = await engine.listen(
  { host: '127.0.0.1', port: 0, backlog: 511, keepAliveMs: () => 0, bufferBytes: 65_536 },
  (wire) => {
    wire.handler = { onChunk: () => {}, onDrain: () => {}, onEnd: () => wire.destroy(), onClose: () => {} };
    wire.write(Buffer.from('hi'));
  },
);
console.log(listener.port);
process.stdin.on('end', () => process.exit(0)).resume();
