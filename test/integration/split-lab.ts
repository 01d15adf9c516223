import assert from 'node:assert/strict';
import type { PostgresServer } from '../../src/cli/demo/postgres/server.js';
import { nodeName } from '../../src/util/brand.js';
import type { Ending, PostgresCluster, PostgresClusterOptions } from '../support/postgres-cluster.js';
import { sql } from '../support/postgres-server.js';
import { waitFor } from '../support/processes.js';
import type { RawClient, RawLoginOptions } from '../support/raw-client.js';
import type { RawReply } from '../support/raw-reply.js';
import { roles } from '../support/roles.js';
import { CoreProxy, TIMEOUT_MS, flushWal, sharedCluster } from './core-lab.js';
import type { CoreChanges } from './core-lab.js';

const { database } = roles.app;
const SAID = 'switchyard: ';

/** What every node has: a name for itself that a read may tell, and things to read and to write. */
const statements: readonly string[] = [
  // Each node tells what it ran for the application; reading its log asks the node itself, and not the proxy.
  `alter role ${roles.app.user} set log_statement = 'all'`,
  `create function here() returns text stable language sql as $$ select current_setting('cluster_name') $$`,
  `create table items(id int primary key, name text)`,
  `insert into items select n, 'item ' || n from generate_series(1, 100) n`,
  `create table notes(id serial primary key, note text)`,
  `create function add_note(what text) returns text language sql as $$ insert into notes(note) values (what) returning here() $$`,
  ...['table items', 'table notes', 'sequence notes_id_seq', 'function add_note(text)'].map(
    (what) => `alter ${what} owner to ${roles.app.user}`,
  ),
];

/** A primary (`node1`) and two standbys for all tests of a file. `more`: further statements for the database of the application. */
export function splitCluster(
  more: readonly string[] = [],
  options: PostgresClusterOptions = {},
): () => PostgresCluster {
  return sharedCluster({ ...options, appStatements: [...statements, ...more] });
}

/** A proxy with a split listener (`split`), one that reads whatever may be a moment old (`eventual`), and one for the primary. */
export async function startSplit(
  t: Ending,
  cluster: Pick<CoreProxy, 'nodes'>,
  changes: CoreChanges = {},
): Promise<CoreProxy> {
  const listener = (name: string, more: object) => ({ name, address: '127.0.0.1:0', ...more });
  const listeners = [
    listener('split', { route: 'split' }),
    listener('eventual', { route: 'split', consistency: 'eventual' }),
    listener('primary', { route: 'primary' }),
  ];
  // So that it can be told for sure where a read goes.
  const routing = { slow_start: '0s', ...changes.routing };
  const proxy = await CoreProxy.start(t, cluster.nodes, { listeners, ...changes, routing });
  await waitForCatalog(proxy);
  return proxy;
}

/** Waits until the names of the application's database are known. */
export async function waitForCatalog(proxy: CoreProxy): Promise<void> {
  await waitFor(() => proxy.app.catalogs.of(database) !== null, { timeoutMs: TIMEOUT_MS, what: 'the catalogue' });
}

/** Waits until every healthy standby has what was written up to now, as the proxy knows it. */
export async function caughtUp(proxy: CoreProxy): Promise<void> {
  const { ticks, store } = proxy.app.watch;
  const { fence } = ticks;
  // What is beyond the last commit may stay in the primary's buffers for long.
  await flushWal(proxy.nodes);
  await waitFor(() => proxy.healthyStandbys.every((name) => (store.caughtUpTick(nodeName(name)) ?? 0) >= fence), {
    timeoutMs: TIMEOUT_MS,
    what: `the standbys to have caught up to tick ${fence}`,
  });
}

/** A session that is told where each of its units goes. */
export async function explained(
  proxy: CoreProxy,
  listener = 'split',
  more: Partial<RawLoginOptions> = {},
): Promise<RawClient> {
  const parameters = { options: '-c switchyard.explain=on', ...more.parameters };
  return proxy.login(listener, { ...more, parameters });
}

/** Where the units of an answer went and why, by what the proxy says: `standby (read)`; without the name of the node. */
export function went({ notices }: RawReply): readonly string[] {
  return decisions({ notices }).map((each) => each.replace(/ \S+ /, ' '));
}

/** The same with the node: `standby node2 (read)`. */
export function decisions({ notices }: Pick<RawReply, 'notices'>): readonly string[] {
  return notices.filter(({ message }) => message.startsWith(SAID)).map(({ message }) => message.slice(SAID.length));
}

let markers = 0;

/** A comment that no other statement has. */
export function marker(): string {
  markers += 1;
  return `/* marker ${markers} of ${process.pid} */`;
}

/** The nodes that have run, or begun to run, a statement with this marker, by their own logs; sorted. */
export async function ranOn(cluster: PostgresCluster, mark: string): Promise<readonly ('primary' | 'standby')[]> {
  const found: ('primary' | 'standby')[] = [];
  for (const node of cluster.nodes) {
    if ((await node.log()).includes(mark)) found.push(node === cluster.primary ? 'primary' : 'standby');
  }
  return found;
}

/** An answer without what the proxy says of its decisions. */
export function typesOf({ messages }: RawReply): string {
  const said = Buffer.from(SAID);
  return messages
    .filter(({ type, body }) => type !== 'N' || !body.includes(said))
    .map(({ type }) => type)
    .join('');
}

/** Runs simple queries that must succeed, one after the other. */
export async function run(client: RawClient, ...texts: readonly string[]): Promise<void> {
  for (const text of texts) await client.rows(text);
}

/** The node that runs a read of this session; the session must not hold anything that keeps reads on the primary. */
export async function readsAt(client: RawClient): Promise<string> {
  return String((await client.rows('select here()'))[0]?.[0]);
}

/** The standby that a session reads from. */
export async function standbyOf(cluster: PostgresCluster, client: RawClient): Promise<PostgresServer> {
  const name = await readsAt(client);
  const node = cluster.standbys.find((each) => each.name === name);
  assert.ok(node, `reads at ${name}, which is no standby`);
  return node;
}

/** The pid of the backend that a session has on a node, by its name there; gives the session a name of its own. */
export async function backendOn(node: PostgresServer, client: RawClient): Promise<string> {
  markers += 1;
  const name = `session ${markers}`;
  // A standby hears of it with the next read.
  await run(client, `set application_name to '${name}'`, 'select here()');
  const rows = await sql(node, 'select pid from pg_stat_activity where application_name = $1', { values: [name] });
  assert.equal(rows.length, 1, `backends of ${name} on ${node.name}`);
  return String(rows[0]?.['pid']);
}
