import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { isAlive } from '../../src/cli/demo/postgres/process-tree.js';
import { startDemoServers } from '../../src/cli/demo/servers.js';
import { sql } from '../support/postgres-server.js';

test('the demo has a primary, two streaming standbys and its roles, and cleans up', async (t) => {
  const said: string[] = [];
  const demo = await startDemoServers({ say: (line) => said.push(line) });
  t.after(() => demo.close());
  const [primary, ...standbys] = demo.nodes;
  assert.match(said.join('\n'), /^Using PostgreSQL \d+.*\nnode1 is the primary, on port \d+\nnode\d is a standby/);

  assert.deepEqual(
    await sql(primary, `select count(*)::int as n from pg_stat_replication where state = 'streaming'`, demo.superuser),
    [{ n: 2 }],
  );
  await sql(primary, 'create table t as select 1 as a', demo.app);
  for (const standby of standbys) {
    assert.deepEqual(await sql(standby, 'select pg_is_in_recovery() as standby', demo.app), [{ standby: true }]);
  }
  const [found] = await sql(primary, `select rolpassword from switchyard.user_lookup('demo')`, demo.monitor);
  assert.match(String(found?.['rolpassword']), /^SCRAM-SHA-256\$/);
  assert.notEqual(demo.superuser.password, demo.monitor.password);

  const pids = demo.nodes.map((node) => node.pid ?? 0);
  await demo.close();
  assert.equal(pids.some(isAlive), false);
  for (const node of demo.nodes) assert.equal(existsSync(node.dataDirectory), false);
});
