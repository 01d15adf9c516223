import type { MonitorConnection } from '../../backend/monitor-connection.js';
import { openMonitor } from '../../backend/open-monitor.js';
import { loadCatalog } from '../../cluster/catalog-loader.js';
import type { Config } from '../../config/schema.js';
import type { SqlAnalyzer } from '../../sql/analysis.js';
import type { CatalogSnapshot } from '../../sql/catalog-snapshot.js';
import type { Clock } from '../../util/clock.js';
import { sayError } from '../check/advice.js';
import { checkClaims } from '../check/claims.js';
import { nodeTimeoutMs } from '../check/nodes.js';

const LOAD_TIMEOUT_MS = 20_000;
const PRIMARY_SQL = 'SELECT NOT pg_catalog.pg_is_in_recovery()';

/**
 * Loads the catalogue of a database as the proxy would: as the monitor role, from the primary, or from another node when none is found.
 * Fails with a sentence for people.
 */
export async function loadLiveCatalog(
  config: Config,
  database: string,
  analyzer: SqlAnalyzer,
  clock: Clock,
): Promise<CatalogSnapshot> {
  const connection = await openBest(config, database, clock);
  try {
    const loaded = await loadCatalog((sql) => connection.query(sql, null, LOAD_TIMEOUT_MS), database, analyzer);
    if (loaded === null) throw new Error('the node gave no catalogue');
    return loaded.snapshot;
  } finally {
    connection.close();
  }
}

async function openBest(config: Config, database: string, clock: Clock): Promise<MonitorConnection> {
  const { targets, leader, findings } = await checkClaims(config);
  const timeoutMs = nodeTimeoutMs(config);
  const ordered = [...targets].sort((a, b) => Number(b.name === leader) - Number(a.name === leader));
  let standby: MonitorConnection | null = null;
  let trouble = findings.findLast(({ verdict }) => verdict === 'fail')?.what ?? 'there is no node to be asked';
  for (const target of ordered) {
    try {
      const connection = await openMonitor(config, { ...target, database }, timeoutMs, clock);
      const [row] = await connection.query(PRIMARY_SQL, null, timeoutMs);
      if (row?.[0] === 't') {
        standby?.close();
        return connection;
      }
      if (standby === null) standby = connection;
      else connection.close();
    } catch (error) {
      trouble = `node ${target.name}: ${sayError(error)}`;
    }
  }
  if (standby === null) throw new Error(trouble);
  return standby;
}
