import { listConfig } from '../../../config/diff.js';
import type { Config } from '../../../config/schema.js';
import { columns, yesOrNo } from '../facts.js';
import type { Table } from '../facts.js';

const MS_PER_S = 1000;
const KB = 1024;
/** So much of the text of a statement is shown. */
const STATEMENT_CHARS_MAX = 1000;
const NO_DEFAULT = '';

export const version: Table = {
  columns: columns(['text', 'version']),
  *rows(facts) {
    yield [`Switchyard ${facts.version}`];
  },
};

export const state: Table = {
  columns: columns(['text', 'key value']),
  *rows({ proxy, controls }) {
    yield ['active', yesOrNo(!controls.isPaused)];
    yield ['paused', yesOrNo(controls.isPaused)];
    yield ['suspended', yesOrNo(false)];
    yield ['stopping', yesOrNo(proxy.isStopping)];
    yield ['promotion', proxy.conductor.phase];
    yield ['primary', proxy.watch.store.view.primary];
  },
};

/** The memory of the process, in blocks of a kilobyte. */
export const memory: Table = {
  columns: columns(['text', 'name'], ['int4', 'size used free'], ['int8', 'memtotal']),
  *rows() {
    const { heapUsed, heapTotal, external, arrayBuffers, rss } = process.memoryUsage();
    const row = (name: string, used: number, total: number): (string | number)[] => [
      ...[name, KB, Math.round(used / KB), Math.round((total - used) / KB), total],
    ];
    yield row('heap', heapUsed, heapTotal);
    yield row('external', external, external);
    yield row('buffers', arrayBuffers, arrayBuffers);
    yield row('resident', rss, rss);
  },
};

/** Every key of the configuration, and behind them, by PgBouncer's names, what tools made for PgBouncer ask for. */
export const config: Table = {
  columns: columns(['text', 'key value default changeable']),
  *rows({ proxy, defaults: defaultsOf }) {
    const defaults = defaultsOf();
    for (const { key, value, live } of listConfig(proxy.config)) {
      yield [key, value, defaults.get(key.replace(/\[.*\]/, '[]')) ?? NO_DEFAULT, yesOrNo(live)];
    }
    for (const [key, value] of bouncerKeys(proxy.config)) yield [key, value, NO_DEFAULT, yesOrNo(false)];
  },
};

/** What clients have prepared; what the statements say is shown to those who may do everything. */
export const preparedStatements: Table = {
  columns: columns(['int4', 'id'], ['text', 'user database name origin'], ['int4', 'bytes'], ['text', 'statement']),
  *rows({ proxy }, { isAdmin }) {
    for (const { id, identity, state: session } of proxy.registry.all()) {
      for (const { statement } of session.prepared.kept()) {
        const { name, frame, sql } = statement;
        const text = isAdmin
          ? (session.prepared.textOf(name)?.toString('utf8').slice(0, STATEMENT_CHARS_MAX) ?? null)
          : null;
        const origin = frame === null ? 'sql' : 'protocol';
        const bytes = frame?.length ?? sql?.length ?? 0;
        yield [id, identity.user, identity.database, Buffer.from(name, 'latin1').toString('utf8'), origin, bytes, text];
      }
    }
  },
};

function bouncerKeys({ limits, pool }: Config): readonly (readonly [key: string, value: string])[] {
  const seconds = (ms: number): string => String(Math.round(ms / MS_PER_S));
  return [
    ['max_client_conn', String(limits.maxClients)],
    ['default_pool_size', String(pool.size)],
    ['min_pool_size', String(pool.minSize)],
    ['reserve_pool_size', String(pool.reserveSize)],
    ['reserve_pool_timeout', seconds(pool.reserveTimeoutMs)],
    ['max_db_connections', String(pool.maxBackendsPerDatabase)],
    ['max_user_connections', String(pool.maxBackendsPerUser)],
    ['pool_mode', pool.mode],
    ['query_wait_timeout', seconds(pool.waitTimeoutMs)],
    ['server_idle_timeout', seconds(pool.idleTimeoutMs)],
    ['server_lifetime', seconds(pool.maxLifetimeMs)],
    ['max_prepared_statements', String(pool.maxPreparedStatements)],
  ];
}
