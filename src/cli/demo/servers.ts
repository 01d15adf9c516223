import { randomBytes } from 'node:crypto';
import { findPostgres } from './postgres/binaries.js';
import type { FindPostgresOptions } from './postgres/binaries.js';
import { ExitGuard } from './postgres/exit-guard.js';
import { PostgresServer } from './postgres/server.js';
import { userLookupStatements } from './user-lookup.js';

const PASSWORD_BYTES = 18;

export interface DemoServersOptions {
  /** Hears what is going on, one sentence each. */
  readonly say: (line: string) => void;
  /** Which PostgreSQL to use; the system's newest, else npm's, by default. */
  readonly postgres?: Omit<FindPostgresOptions, 'say'>;
  /** True (default): SIGINT, SIGTERM and SIGHUP kill the servers and end the process. False when the caller handles them and closes. */
  readonly handleSignals?: boolean;
}

export interface DemoRole {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/** The running servers of the demo; `close` ends them and removes their files. */
export interface DemoServers {
  /** `node1` is the primary at first, `node2` and `node3` are its standbys. */
  readonly nodes: readonly [PostgresServer, PostgresServer, PostgresServer];
  readonly superuser: DemoRole;
  /** In `pg_monitor`, and may call `switchyard.user_lookup(name)` in its database. */
  readonly monitor: DemoRole;
  /** Owner of its database; SCRAM like the others. */
  readonly app: DemoRole;
  close(): Promise<void>;
}

/**
 * Starts a primary and two streaming standbys on the loopback address, with their data in temporary folders. Passwords are made up for
 * each run, but that of the application, which people are meant to type. Throws when PostgreSQL cannot be had; nothing is left then.
 */
export async function startDemoServers(options: DemoServersOptions): Promise<DemoServers> {
  const { say } = options;
  const binaries = await findPostgres({ ...options.postgres, say });
  say(`Using PostgreSQL ${binaries.version} in ${binaries.directory}`);
  const superuser = { user: 'postgres', password: inventPassword(), database: 'postgres' };
  const monitor = { user: 'switchyard', password: inventPassword(), database: 'postgres' };
  const app = { user: 'demo', password: 'demo', database: 'demo' };

  const opened: PostgresServer[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((server) => server.close()));
  };
  try {
    const first = await PostgresServer.create({
      binaries,
      name: 'node1',
      superuserPassword: superuser.password,
      replicationPassword: inventPassword(),
      guard: new ExitGuard({ signals: options.handleSignals ?? true }),
    });
    opened.push(first);
    await first.runSingleUser([
      `create role ${monitor.user} login password '${monitor.password}' in role pg_monitor`,
      `create role ${app.user} login password '${app.password}'`,
      `create database ${app.database} owner ${app.user}`,
      ...userLookupStatements(monitor.user),
    ]);
    // Copies of a server that has never run cost no backup and no wait.
    const second = await first.cloneStandby({ name: 'node2' });
    opened.push(second);
    const third = await first.cloneStandby({ name: 'node3' });
    opened.push(third);
    await first.start();
    say(`node1 is the primary, on port ${first.port}`);
    await Promise.all(
      [second, third].map(async (standby) => {
        await standby.start();
        await standby.waitUntilStreaming();
        say(`${standby.name} is a standby, on port ${standby.port}`);
      }),
    );
    return { nodes: [first, second, third], superuser, monitor, app, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function inventPassword(): string {
  return randomBytes(PASSWORD_BYTES).toString('base64url');
}
