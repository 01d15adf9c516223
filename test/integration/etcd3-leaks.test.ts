import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DcsState } from '../../src/dcs/claims.js';
import { type Clock, systemClock } from '../../src/util/clock.js';
import { startEtcd } from '../support/etcd-server.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { PREFIX, followEtcd } from '../support/follow-etcd.js';
import { refusingPort, silentPort } from '../support/ports.js';
import { waitFor } from '../support/processes.js';

const BREAKS = 1_000;
/** From then on everything that is made once has been made. */
const WARM_BREAKS = 200;
/** What the test itself keeps, pictures and log lines, is about half of it. */
const GROWTH_BYTES_MAX = 4 * 1024 * 1024;
/** How many times faster the clock of a soak test runs: its back-offs are this much shorter. */
const SPEED = 20;

const fastClock: Clock = {
  nowMs: () => systemClock.nowMs() * SPEED,
  epochMs: () => systemClock.epochMs(),
  setTimer: (delayMs, run) => systemClock.setTimer(delayMs / SPEED, run),
  clearTimer: (timer) => systemClock.clearTimer(timer),
};

function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** Bytes of the heap that are in use. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}

test(`${BREAKS} breaks of the connection leave one watch in etcd and nothing behind here`, async (t) => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  const etcd = await startEtcd(t);
  const proxy = await FaultProxy.start(etcd.port);
  t.after(() => proxy.close());
  const { until, pictures, provider } = followEtcd(t, {
    hosts: [{ host: '127.0.0.1', port: proxy.port }],
    clock: fastClock,
    requestTimeoutMs: 5000 * SPEED,
    staleAfterMs: 60_000 * SPEED,
    watchdogIntervalMs: 5000 * SPEED,
  });
  const watchers = () => etcd.metric('etcd_debugging_mvcc_watcher_total');
  const oneWatcher = () => waitFor(async () => (await watchers()) === 1, { timeoutMs: 10_000, what: 'one watcher' });
  await until('the first answer', ({ state }) => state === DcsState.Live);
  await oneWatcher();
  const before = resources();
  let warmBytes = 0;
  for (let round = 0; round < BREAKS; round += 1) {
    if (round === WARM_BREAKS) warmBytes = heapBytes();
    proxy.reset();
    await etcd.put(`${PREFIX}leader`, `node${round}`);
    await until(`news after break ${round}`, ({ leader }) => leader?.name === `node${round}`);
  }
  await oneWatcher();
  const grownBytes = heapBytes() - warmBytes;
  t.diagnostic(`${proxy.accepted} connections, the heap has grown by ${Math.round(grownBytes / 1024)} kB`);
  assert.ok(grownBytes < GROWTH_BYTES_MAX, `${grownBytes} bytes`);
  assert.ok(proxy.accepted >= BREAKS, `${proxy.accepted} connections in ${BREAKS} breaks`);
  assert.ok(pictures.every(({ state }) => state === DcsState.Live));
  const grown = () =>
    Object.entries(resources()).filter(
      ([name, count]) => name !== 'Timeout' && name !== 'Immediate' && count > (before[name] ?? 0) + 1,
    );
  await waitFor(() => grown().length === 0, {
    timeoutMs: 10_000,
    what: `no more handles than ${JSON.stringify(before)}`,
  });
  await provider.close();
  await waitFor(async () => (await watchers()) === 0, { timeoutMs: 10_000, what: 'no watcher' });
  await waitFor(() => proxy.connections === 0, { timeoutMs: 10_000, what: 'no connection' });
  assert.deepEqual(warnings, []);
});

/** A program that follows the ports of its arguments, closes after a while, and must then end by itself. */
const program = `
  const [claimsUrl, clockUrl, logUrl, afterMs, ...ports] = process.argv.slice(1);
  const { Etcd3Claims } = await import(claimsUrl);
  const { systemClock } = await import(clockUrl);
  const { silentLogger } = await import(logUrl);
  const provider = new Etcd3Claims({
    hosts: ports.map((port) => ({ host: '127.0.0.1', port: Number(port) })), prefix: '/service/pg/', username: null, password: null,
    requestTimeoutMs: 30_000, staleAfterMs: 90_000, watchdogIntervalMs: 30_000, keepaliveMs: 30_000,
    clock: systemClock, logger: silentLogger, random: () => 0,
  });
  provider.start(() => {});
  await new Promise((resolve) => setTimeout(resolve, Number(afterMs)));
  await provider.close();
  console.log(JSON.stringify({ state: provider.claims.state }));
`;

for (const [what, state] of [
  ['that answers', DcsState.Live],
  ['that is silent', DcsState.Unknown],
  ['that refuses', DcsState.Unknown],
] as const) {
  test(`a program that has closed its claims from an etcd ${what} ends by itself`, async (t) => {
    const silent = await silentPort();
    t.after(() => silent.close());
    const port =
      state === DcsState.Live
        ? (await startEtcd(t)).port
        : what === 'that is silent'
          ? silent.port
          : await refusingPort();
    const urls = ['dcs/etcd3.js', 'util/clock.js', 'log.js'].map(
      (file) => new URL(`../../src/${file}`, import.meta.url).href,
    );
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, ...urls, '700', String(port)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    let output = '';
    let closedAtMs = 0;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      closedAtMs = performance.now();
    });
    const [code] = (await once(child, 'exit', { signal: AbortSignal.timeout(20_000) })) as [number | null];
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(output), { state });
    // The gRPC client waits up to a second for a connection that is just being made.
    assert.ok(performance.now() - closedAtMs < 1500, `it lived on for ${performance.now() - closedAtMs} ms`);
  });
}
