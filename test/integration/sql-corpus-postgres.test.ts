import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { loadCatalog } from '../../src/cluster/catalog-loader.js';
import { Catalog } from '../../src/sql/catalog.js';
import type { CatalogSnapshot } from '../../src/sql/catalog-snapshot.js';
import { PostgresCluster } from '../support/postgres-cluster.js';
import type { PostgresServer } from '../../src/cli/demo/postgres/server.js';
import { RawClient } from '../support/raw-client.js';
import type { RawReply } from '../support/raw-reply.js';
import { roles } from '../support/roles.js';
import { corpusRows } from '../unit/sql/corpus/corpus.js';
import { corpusSchema } from '../unit/sql/corpus/corpus-schema.js';
import { obstacleOf } from '../unit/sql/corpus/corpus-verdict.js';
import { StatementReader } from '../unit/sql/read-statements.js';

/** What a standby says to what only a primary can do, or to what it cannot do at all. */
const REFUSALS: ReadonlySet<string> = new Set(['25006', '0A000', 'XX000', '55000']);
const PARAMETER = /\$\d+/g;

let cluster: PostgresCluster;
let reader: StatementReader;
const endings: (() => Promise<unknown>)[] = [];

before(async () => {
  reader = await StatementReader.load();
  cluster = await PostgresCluster.start({ after: (run) => endings.push(run) }, { standbys: 1 });
  const client = await logIn(cluster.primary);
  for (const statement of corpusSchema) {
    const { error } = await client.query(statement);
    assert.equal(error, null, `${statement}: ${error?.message ?? ''}`);
  }
  await client.end();
  await cluster.waitUntilReplayed();
});

after(async () => {
  for (const end of endings) await end();
});

async function logIn(node: PostgresServer): Promise<RawClient> {
  const { user, password } = roles.superuser;
  return RawClient.login({ port: node.port, user, password, database: roles.app.database });
}

async function loadSnapshot(node: PostgresServer): Promise<CatalogSnapshot> {
  const client = await logIn(node);
  const loaded = await loadCatalog((sql) => client.rows(sql), roles.app.database, reader.analyzer);
  await client.end();
  assert.ok(loaded !== null);
  return loaded.snapshot;
}

/** Runs a text as its client would: with parameters by the extended protocol, all of them NULL. */
async function run(client: RawClient, text: string): Promise<RawReply> {
  const numbers = (text.match(PARAMETER) ?? []).map((each) => Number(each.slice(1)));
  const isPrepared = numbers.length > 0 && !text.includes("'");
  const values = Array.from({ length: Math.max(0, ...numbers) }, () => null);
  const reply = await (isPrepared ? client.extended(text, values) : client.query(text));
  if (reply.status !== 'I') await client.query('ROLLBACK');
  return reply;
}

function sayError({ error }: RawReply): string {
  return error === null ? 'success' : `${error.code} ${error.message}`;
}

/** What of an answer does not depend on chance, the time, or the order of rows. */
function sayForm({ error, columns, tags, closed }: RawReply): string {
  const words = tags.map((tag) => tag.split(' ')[0]);
  return `${error?.code ?? 'success'}${closed ? ' closed' : ''} (${columns.join()}) ${words.join()}`;
}

test('every text of the corpus goes where it says by the catalogue of a real database', async () => {
  const catalog = new Catalog(await loadSnapshot(cluster.primary), { readFunctions: [], writeFunctions: [] });
  const told = corpusRows.map(([text]) => `${text}: ${obstacleOf(text, reader, catalog) ?? 'standby'}`);
  const written = corpusRows.map(([text, verdict, reason]) => `${text}: ${verdict === 'standby' ? verdict : reason}`);
  assert.deepEqual(
    told.filter((each, at) => each !== written[at]),
    written.filter((each, at) => each !== told[at]),
  );
});

test('what may go to a standby ends there as it does on the primary, and nothing of it is refused', async () => {
  const primary = await logIn(cluster.primary);
  const [node] = cluster.standbys;
  assert.ok(node !== undefined);
  const standby = await logIn(node);
  const mistakes: string[] = [];
  let count = 0;
  for (const [text, verdict] of corpusRows) {
    if (verdict === 'primary') continue;
    count += 1;
    const there = await run(standby, text);
    const here = await run(primary, text);
    if (REFUSALS.has(there.error?.code ?? '')) mistakes.push(`${text}: ${sayError(there)}`);
    if (sayForm(there) !== sayForm(here)) mistakes.push(`${text}: ${sayForm(there)}, on the primary ${sayForm(here)}`);
  }
  assert.deepEqual(mistakes, []);
  assert.ok(count > 150, `only ${count} texts`);
  await primary.end();
  await standby.end();
});
