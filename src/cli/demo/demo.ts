import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { App } from '../../app.js';
import { parseConfig } from '../../config/load.js';
import { messageOf } from '../../errors.js';
import { silentLogger } from '../../log.js';
import { openEngine } from '../../net/open-engine.js';
import { systemClock } from '../../util/clock.js';
import { startDemoServers } from './servers.js';
import type { DemoServers } from './servers.js';
import { Visitors } from './visitors.js';

const WRITERS = 8;
const READERS = 8;
const LINE_EVERY_MS = 1_000;
/** How long the operator of a crashed cluster takes to notice, here. */
const NOTICE_MS = 2_000;

/** The stage of the demo: everything that is closed at its end. */
interface Stage {
  readonly servers: DemoServers;
  readonly app: App;
  readonly visitors: Visitors;
  readonly primaryPort: number;
  readonly standbyPort: number;
}

/** Three PostgreSQL servers, the proxy in front, a switchover and a crash, as a client sees them. Gives the exit code. */
export async function demo(): Promise<number> {
  let stage: Stage | null = null;
  const startedAtMs = systemClock.nowMs();
  const say = (line: string): void => {
    const atS = ((systemClock.nowMs() - startedAtMs) / 1000).toFixed(1);
    console.log(`${atS.padStart(6)} s  ${line}`);
  };
  try {
    stage = await setUp(say);
    return await play(stage, say);
  } catch (error) {
    console.error(`switchyard demo: ${messageOf(error)}`);
    return 1;
  } finally {
    await stage?.visitors.stop();
    await stage?.app.close();
    await stage?.servers.close();
  }
}

async function setUp(say: (line: string) => void): Promise<Stage> {
  const servers = await startDemoServers({ say });
  const { config } = parseConfig(
    stringify({
      cluster: {
        nodes: servers.nodes.map((node) => ({ name: node.name, host: '127.0.0.1', port: node.port })),
        monitor: { user: servers.monitor.user, password: servers.monitor.password },
      },
      listeners: [
        { name: 'primary', address: '127.0.0.1:0', route: 'primary' },
        { name: 'standby', address: '127.0.0.1:0', route: 'standby' },
      ],
      auth: { query: 'SELECT * FROM switchyard.user_lookup($1)' },
      admin: { enabled: false },
    }),
    { fileName: 'demo', env: {}, folder: '.' },
  );
  const { engine } = openEngine(config.engine);
  const app = new App(config, { clock: systemClock, logger: silentLogger, engine });
  await app.start();
  const port = (name: string): number => app.listeners.find((each) => each.name === name)?.port ?? 0;
  const stage: Stage = {
    servers,
    app,
    visitors: new Visitors(servers.app, systemClock),
    primaryPort: port('primary'),
    standbyPort: port('standby'),
  };
  say(`The proxy listens: primary on 127.0.0.1:${stage.primaryPort}, standby on 127.0.0.1:${stage.standbyPort}`);
  say(`Join in:  PGPASSWORD=demo psql -h 127.0.0.1 -p ${stage.primaryPort} -U demo demo`);
  return stage;
}

async function play(stage: Stage, say: (line: string) => void): Promise<number> {
  const { servers, visitors } = stage;
  const [node1, node2, node3] = servers.nodes;
  await visitors.prepare(stage.primaryPort);
  say(
    `${WRITERS} visitors write numbered rows through the primary listener, ${READERS} read through the standby listener`,
  );
  visitors.start(stage.primaryPort, stage.standbyPort, WRITERS, READERS);
  await watch(stage, 3, say);

  say('--- A planned switchover: node1 is stopped, node2 is promoted');
  visitors.resetGaps();
  await node1.stop('fast');
  await node2.promote();
  await Promise.all([node1.follow(node2), node3.follow(node2)]);
  await node1.start();
  await watch(stage, 5, say);
  say(`    the longest pause of a writer was ${ms(visitors.writes.longestGapMs)}; node1 is back as a standby`);
  if (visitors.writes.errors > 0) {
    say(`    ${visitors.writes.errors} statements were under way when node1 stopped: rolled back, and told so (57P01)`);
    say('    Patroni announces a switchover before it stops the primary; then units wait and none is under way');
  }

  say('--- A crash: every process of node2 is killed, node3 is promoted when somebody has noticed');
  visitors.resetGaps();
  await node2.kill();
  await watch(stage, NOTICE_MS / 1_000, say);
  await node3.promote();
  await node1.follow(node3);
  await watch(stage, 5, say);
  say(
    `    the longest pause of a writer was ${ms(visitors.writes.longestGapMs)}, of a reader ${ms(visitors.reads.longestGapMs)}`,
  );

  await visitors.stop();
  return sum(stage, say);
}

async function sum(stage: Stage, say: (line: string) => void): Promise<number> {
  const { visitors } = stage;
  const rows = await visitors.count(stage.primaryPort);
  const missing = Math.max(0, visitors.acknowledged - rows);
  say('--- What the visitors saw');
  say(`    writes acknowledged  ${visitors.acknowledged}`);
  say(`    rows in the table    ${rows}`);
  say(`    acknowledged, lost   ${missing}`);
  say(`    errors of writers    ${visitors.writes.errors}${lastError(visitors.writes.lastError)}`);
  say(`    errors of readers    ${visitors.reads.errors}${lastError(visitors.reads.lastError)}`);
  say(`    connections lost     ${visitors.writes.reconnects + visitors.reads.reconnects}`);
  if (missing > 0) say('    A crash without synchronous replication can lose what was not yet sent to a standby.');
  say('Everything is stopped and removed now.');
  return 0;
}

/** Prints a line a second about what goes on. */
async function watch(stage: Stage, seconds: number, say: (line: string) => void): Promise<void> {
  const { visitors, app } = stage;
  for (let i = 0; i < seconds; i += 1) {
    const [writes, reads] = [visitors.writes.done, visitors.reads.done];
    await delay(LINE_EVERY_MS);
    const view = app.watch.store.view;
    const sessions = [...view.nodes.values()].map(
      (node) => `${node.name} ${node.role} ${app.registry.load(node.name)}`,
    );
    say(
      `    ${pad(visitors.writes.done - writes)} writes/s ${pad(visitors.reads.done - reads)} reads/s  ` +
        `held ${app.primaryHold.length}  errors ${visitors.writes.errors + visitors.reads.errors}  sessions: ${sessions.join(', ')}`,
    );
  }
}

function pad(n: number): string {
  return String(n).padStart(4);
}

function ms(durationMs: number): string {
  return `${(durationMs / 1_000).toFixed(2)} s`;
}

function lastError(text: string): string {
  return text === '' ? '' : ` (the last: ${text})`;
}
