import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNodeBoundBuiltIn, isReadBuiltIn } from '../../../src/sql/catalog-functions.js';
import { builtInSnapshot } from './catalog-rows.js';

test('of the volatile functions of PostgreSQL 15 these are reads, and no others', () => {
  const reads = builtInSnapshot()
    .functions.filter(({ isVolatile, name }) => isVolatile && isReadBuiltIn(name) && !isNodeBoundBuiltIn(name))
    .map(({ name }) => name);
  assert.deepEqual(
    reads,
    (
      'amvalidate bernoulli clock_timestamp current_query gen_random_uuid pg_database_size pg_indexes_size ' +
      'pg_partition_ancestors pg_partition_tree pg_relation_size pg_sleep pg_sleep_for pg_sleep_until pg_table_size ' +
      'pg_tablespace_size pg_total_relation_size random system timeofday'
    ).split(' '),
  );
});

test('what belongs to a node is told by name, and by the family of names', () => {
  const bound = builtInSnapshot().functions.filter(({ name }) => isNodeBoundBuiltIn(name));
  const stable = bound.filter(({ isVolatile }) => !isVolatile).map(({ name }) => name);
  for (const name of [
    'current_setting',
    'pg_backend_pid',
    'pg_stat_get_activity',
    'inet_client_addr',
    'pg_my_temp_schema',
  ]) {
    assert.ok(stable.includes(name), name);
  }
  for (const name of ['pg_stats_ext', 'pg_lsn_in', 'pg_typeof', 'pg_trigger_depth', 'version', 'pg_size_pretty']) {
    assert.ok(!isNodeBoundBuiltIn(name), name);
  }
});
