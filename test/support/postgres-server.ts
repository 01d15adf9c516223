import type { TestContext } from 'node:test';
import { Client } from 'pg';
import { findPostgres } from '../../src/cli/demo/postgres/binaries.js';
import type { PostgresBinaries } from '../../src/cli/demo/postgres/binaries.js';
import { PostgresServer } from '../../src/cli/demo/postgres/server.js';
import type { PostgresServerOptions } from '../../src/cli/demo/postgres/server.js';
import { testGuard } from './processes.js';
import { roleStatements, roles } from './roles.js';

const SQL_TIMEOUT_MS = 30_000;

/**
 * PostgreSQL's programs for the tests. SWITCHYARD_TEST_POSTGRES chooses others than the system's newest: `npm`, or a folder.
 */
export async function testBinaries(): Promise<PostgresBinaries> {
  const chosen = process.env['SWITCHYARD_TEST_POSTGRES'] ?? '';
  if (chosen === '') return findPostgres();
  return chosen === 'npm' ? findPostgres({ origin: 'npm' }) : findPostgres({ directory: chosen });
}

/** A server with the roles of {@link roles}, stopped; the caller closes it. */
export async function createPostgres(options: Partial<PostgresServerOptions> = {}): Promise<PostgresServer> {
  const binaries = options.binaries ?? (await testBinaries());
  const server = await PostgresServer.create({ guard: testGuard, ...options, binaries });
  try {
    await server.runSingleUser(roleStatements);
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** A running server with the roles of {@link roles}, closed after the test. */
export async function startPostgres(
  t: TestContext,
  options: Partial<PostgresServerOptions> = {},
): Promise<PostgresServer> {
  const server = await createPostgres(options);
  t.after(() => server.close());
  await server.start();
  return server;
}

export interface SqlOptions {
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  readonly values?: readonly unknown[];
}

/** Runs SQL on a connection of its own, as the superuser in `postgres` unless said otherwise; returns the rows of the last result. */
export async function sql(
  server: { readonly host: string; readonly port: number },
  text: string,
  options: SqlOptions = {},
): Promise<Record<string, unknown>[]> {
  const client = new Client({
    host: server.host,
    port: server.port,
    user: options.user ?? roles.superuser.user,
    password: options.password ?? roles.superuser.password,
    database: options.database ?? 'postgres',
    connectionTimeoutMillis: SQL_TIMEOUT_MS,
    query_timeout: SQL_TIMEOUT_MS,
  });
  // A server that is killed under the connection is reported by the query; the event would end the process.
  client.on('error', () => {});
  try {
    await client.connect();
    const result = await client.query<Record<string, unknown>>(text, [...(options.values ?? [])]);
    const last = Array.isArray(result) ? (result.at(-1) as typeof result) : result;
    return last.rows;
  } finally {
    await client.end().catch(() => {});
  }
}
