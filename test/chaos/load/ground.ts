import { sql } from '../../support/postgres-server.js';
import { roles } from '../../support/roles.js';

/**
 * Writes say themselves where they happened: the timeline (the first eight hexadecimal digits of the WAL file that is written, as of
 * "Backup Control Functions" in PostgreSQL's documentation) and the port of the node. There is no unique key, so that a write that
 * happens twice can be seen.
 */
const STATEMENTS = [
  `create table chaos_writes(
     worker int not null, n int not null,
     timeline int not null default ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int,
     node_port int not null default inet_server_port())`,
  'create index on chaos_writes(worker, n)',
  'create table chaos_floor(n int not null)',
] as const;

/** Makes the tables on the leader. */
export async function layGround(leader: { readonly host: string; readonly port: number }): Promise<void> {
  for (const statement of STATEMENTS) await sql(leader, statement, roles.app);
}

/** A row as it was found. */
export interface FoundWrite {
  readonly n: number;
  readonly copies: number;
  readonly leastTimeline: number;
  readonly mostTimeline: number;
}

/** The writes of one worker from a number on. */
export async function findWrites(
  leader: { readonly host: string; readonly port: number },
  worker: number,
  from: number,
): Promise<FoundWrite[]> {
  const rows = await sql(
    leader,
    `select n, count(*)::int as copies, min(timeline) as least, max(timeline) as most
       from chaos_writes where worker = $1 and n >= $2 group by n`,
    { ...roles.app, values: [worker, from] },
  );
  return rows.map((row) => ({
    n: Number(row['n']),
    copies: Number(row['copies']),
    leastTimeline: Number(row['least']),
    mostTimeline: Number(row['most']),
  }));
}
