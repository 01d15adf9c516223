import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { PostgresCluster } from '../support/postgres-cluster.js';
import { RawClient } from '../support/raw-client.js';
import { frontend } from '../support/raw-messages.js';
import { ControlsYard, beginPause, pidOf } from './controls-lab.js';
import type { PoolMode } from './controls-lab.js';

const closers: (() => unknown)[] = [];
let cluster: PostgresCluster;

before(async () => {
  cluster = await PostgresCluster.start(
    { after: (close) => void closers.unshift(close) },
    { standbys: 1, appStatements: ['create table items(id int)', 'alter table items owner to app'] },
  );
  await cluster.sql('create database other owner app');
});

after(async () => {
  for (const close of closers) await close();
});

const modes: readonly PoolMode[] = ['session', 'transaction'];

for (const mode of modes) {
  describe(`in pool mode ${mode}`, () => {
    it('PAUSE waits for a transaction and says so, everything else waits for RESUME, and nobody is disconnected', async (t) => {
      const lab = await ControlsYard.start(t, cluster, mode);
      const [busy, idle, admin] = [await lab.client(), await lab.client(), await lab.admin()];
      await idle.rows('select 1');
      await busy.query('begin');
      await busy.query('insert into items values (1)');
      assert.equal(await beginPause(admin, 'PAUSE app'), 'waiting for 1 transaction');
      const databases = async () => (await lab.show('databases')).find(({ name }) => name === 'app');
      assert.equal((await databases())?.['paused'], '1');
      await lab.until(async () => (await lab.backends()) === 1, 'the backend of the idle session to be closed');
      const held = idle.query('select count(*) from items');
      await lab.untilPaused(1);
      const pool = (await lab.show('pools')).find(({ database }) => database === 'app');
      assert.deepEqual([pool?.['cl_waiting'], pool?.['sv_active']], ['1', '1']);
      const waits = (await lab.show('clients')).find(
        ({ database, state }) => database === 'app' && state === 'waiting',
      );
      assert.match(waits?.['waits_for'] ?? '', /database "app" is paused/);
      // The transaction goes on.
      await busy.query('insert into items values (2)');
      assert.deepEqual((await busy.query('commit')).tags, ['COMMIT']);
      const answer = await admin.reply();
      assert.deepEqual([answer.error, answer.tags], [null, ['PAUSE']]);
      assert.equal(await lab.backends(), 0);
      // Whoever comes now is greeted, and waits like everybody else.
      const late = await lab.client();
      const [again, more] = [busy.query('select 1'), late.query('select 2')];
      await lab.untilPaused(3);
      assert.equal((await admin.query('PAUSE')).error, null, 'all are paused now');
      const twice = await admin.query('PAUSE app');
      assert.deepEqual([twice.error?.code, twice.error?.message], ['55000', 'already suspended/paused']);
      assert.equal((await admin.query('RESUME')).error, null);
      await lab.untilPaused(3);
      assert.equal((await admin.query('RESUME app')).error, null);
      assert.deepEqual((await held).rows, [['2']]);
      assert.deepEqual([(await again).error, (await more).error], [null, null]);
      const none = await admin.query('RESUME app');
      assert.deepEqual([none.error?.code, none.error?.message], ['55000', 'database app is not paused']);
      await cluster.sql('truncate items', { database: 'app' });
    });

    it('PAUSE of one database leaves the others alone, PAUSE of all takes those in that nobody has asked for yet', async (t) => {
      const lab = await ControlsYard.start(t, cluster, mode);
      const [here, there, admin] = [await lab.client(), await lab.client('rw', 'other'), await lab.admin()];
      await here.rows('select 1');
      assert.deepEqual((await admin.query('PAUSE app')).tags, ['PAUSE']);
      const held = here.query('select 1');
      await lab.untilPaused(1);
      await there.rows('select 1');
      assert.equal(await lab.backends('other'), 1);
      await admin.query('RESUME app');
      assert.equal((await held).error, null);
      await admin.query('PAUSE');
      assert.equal(await lab.backends('other'), 0);
      assert.deepEqual(
        (await lab.show('state')).slice(0, 2).map(({ value }) => value),
        ['no', 'yes'],
      );
      // Nothing is known of what a node would say in there: the log-in itself waits.
      const coming = lab.client('rw', 'postgres');
      await lab.untilPaused(1);
      await admin.query('RESUME');
      assert.equal((await (await coming).query('select 1')).error, null);
    });

    it('PAUSE says by name who is pinned, and waits for him; cancelled, it is as if it had not been', async (t) => {
      const lab = await ControlsYard.start(t, cluster, mode);
      const [pinned, idle, admin] = [await lab.client(), await lab.client(), await lab.admin()];
      await idle.rows('select 1');
      await pinned.query('create temporary table kept(a int)');
      const id = (await lab.show('pins'))[0]?.['id'];
      const sentence = `waiting for 1 session pinned by temporary_object (id ${id})`;
      assert.equal(await beginPause(admin, 'PAUSE'), sentence);
      assert.equal((await pinned.query('insert into kept values (1)')).error, null, 'its own work goes on');
      const held = idle.query('select 1');
      await lab.untilPaused(1);
      assert.ok(admin.key !== null);
      await RawClient.cancel({ port: lab.yard.port('rw') }, admin.key);
      const cancelled = await admin.reply();
      assert.equal(cancelled.error?.code, '57014');
      assert.equal((await held).error, null);
      assert.equal((await lab.show('state'))[1]?.['value'], 'no');
      assert.equal(await beginPause(admin, 'PAUSE'), sentence);
      await pinned.query('drop table kept');
      const answer = await admin.reply();
      assert.equal(answer.error, null);
      assert.equal(await lab.backends(), 0);
      await admin.query('RESUME');
    });

    it('a session that listens hears again what is notified after a pause, and after RECONNECT', async (t) => {
      const lab = await ControlsYard.start(t, cluster, mode);
      const [listener, other, admin] = [await lab.client(), await lab.client(), await lab.admin()];
      await listener.query('listen news');
      for (const [command, end] of [
        ['PAUSE', 'RESUME'],
        ['RECONNECT', 'WAIT_CLOSE'],
      ]) {
        assert.equal((await admin.query(command ?? '')).error, null);
        assert.equal((await admin.query(end ?? '')).error, null);
        const heard = listener.notifications.length;
        await lab.until(async () => {
          await other.query('notify news');
          await listener.query('select 1');
          return listener.notifications.length > heard;
        }, 'a notification');
      }
    });

    it('RECONNECT replaces backends as they become free, also under a session that is never idle; WAIT_CLOSE waits for that', async (t) => {
      const lab = await ControlsYard.start(t, cluster, mode);
      const [idle, busy, restless, admin] = [
        await lab.client(),
        await lab.client(),
        await lab.client(),
        await lab.admin(),
      ];
      await busy.query('begin');
      const held = await pidOf(busy);
      const before = new Set([held, await pidOf(idle), await pidOf(restless)]);
      let isOver = false;
      const seen = new Set<string>();
      const working = (async () => {
        while (!isOver) seen.add(await pidOf(restless));
      })();
      assert.deepEqual((await admin.query('RECONNECT app')).tags, ['RECONNECT']);
      admin.send(frontend.query('WAIT_CLOSE app'));
      await lab.until(() => [...seen].some((pid) => !before.has(pid)), 'another backend for the restless session');
      assert.ok(!before.has(await pidOf(idle)));
      assert.equal(await pidOf(busy), held, 'a transaction keeps its backend');
      assert.equal(await admin.isSilentFor(100), true);
      await busy.query('commit');
      assert.deepEqual((await admin.reply()).tags, ['WAIT_CLOSE']);
      assert.ok(!before.has(await pidOf(busy)));
      isOver = true;
      await working;
      const alive = await cluster.sql(`select pid::text from pg_stat_activity where usename = 'app'`);
      assert.deepEqual(
        alive.filter(({ pid }) => before.has(String(pid))),
        [],
      );
    });

    it('a backend that is logging in at RECONNECT serves nobody, and everybody else is served meanwhile', async (t) => {
      const lab = await ControlsYard.start(t, cluster, mode);
      const [first, other, admin] = [await lab.client(), await lab.client('rw', 'other'), await lab.admin()];
      for (const client of [first, other]) await client.rows('select 1');
      await admin.query('RECONNECT');
      await admin.query('WAIT_CLOSE');
      await other.rows('select 1');
      const slowLogin = async (seconds: number): Promise<void> => {
        await cluster.sql(`alter system set post_auth_delay = ${seconds}`);
        await cluster.sql('select pg_reload_conf()');
      };
      await slowLogin(1);
      t.after(() => slowLogin(0));
      const started = 'select backend_start from pg_stat_activity where pid = pg_backend_pid()';
      first.send(frontend.query('select 1'));
      assert.equal(await first.isSilentFor(300), true);
      const [[reconnectedAt = null] = []] = await other.rows('select clock_timestamp()');
      await admin.query('RECONNECT app');
      assert.equal((await other.query('select 1')).error, null);
      assert.deepEqual((await admin.query('WAIT_CLOSE app')).tags, ['WAIT_CLOSE']);
      assert.deepEqual((await first.reply()).rows, [['1']]);
      const isNew = await first.rows(`select (${started}) > '${reconnectedAt}'`);
      assert.deepEqual(isNew, [['t']]);
    });

    it('what a session has left behind is there again after RECONNECT and after a pause', async (t) => {
      const lab = await ControlsYard.start(t, cluster, mode);
      const [client, admin] = [await lab.client('split'), await lab.admin()];
      await client.query("set application_name = 'kept'");
      await client.unit(frontend.parse('select $1::int + 1', { name: 'plus' }), frontend.sync());
      const plus = async (): Promise<string | null | undefined> => {
        const bind = frontend.bind({ statement: 'plus', values: ['1'] });
        return (await client.unit(bind, frontend.execute(), frontend.sync())).rows[0]?.[0];
      };
      for (const commands of [
        ['RECONNECT', 'WAIT_CLOSE'],
        ['PAUSE', 'RESUME'],
      ]) {
        assert.equal(await plus(), '2');
        for (const command of commands) assert.equal((await admin.query(command)).error, null, command);
        assert.equal(await plus(), '2');
        assert.equal((await client.rows('show application_name'))[0]?.[0], 'kept');
      }
    });

    it('KILL drops clients and backends at once and pauses; KILL_CLIENT drops one', async (t) => {
      const lab = await ControlsYard.start(t, cluster, mode);
      const [idle, busy, other, admin] = [
        await lab.client(),
        await lab.client(),
        await lab.client('rw', 'other'),
        await lab.admin(),
      ];
      await idle.rows('select 1');
      await other.rows('select 1');
      const sleeping = busy.query('select pg_sleep(60)');
      await lab.until(
        async () => (await lab.show('pools')).some(({ sv_active }) => sv_active !== '0'),
        'the statement',
      );
      assert.deepEqual((await admin.query('KILL app')).tags, ['KILL']);
      for (const reply of [await sleeping, await idle.reply()]) {
        assert.deepEqual([reply.error?.code, reply.closed], ['57P01', true]);
        assert.match(reply.error?.message ?? '', /terminating connection due to administrator command/);
      }
      await lab.until(async () => (await lab.backends()) === 0, 'the backends to be gone');
      const next = await lab.client();
      const held = next.query('select 1');
      await lab.untilPaused(1);
      assert.equal((await other.query('select 1')).error, null);
      await admin.query('RESUME app');
      assert.equal((await held).error, null);
      const id = (await lab.show('clients')).find(({ database }) => database === 'other')?.['id'];
      assert.deepEqual((await admin.query(`KILL_CLIENT ${id}`)).tags, ['KILL_CLIENT']);
      assert.equal((await other.reply()).error?.code, '57P01');
      const gone = await admin.query(`KILL_CLIENT ${id}`);
      assert.deepEqual([gone.error?.code, gone.error?.message], ['42704', 'client not found']);
    });
  });
}

it('a transaction on a standby is waited for, and both backends of a split session are given back', async (t) => {
  const lab = await ControlsYard.start(t, cluster, 'session');
  const [client, admin] = [await lab.client('split'), await lab.admin()];
  await client.query('insert into items values (3)');
  await lab.until(async () => {
    await client.query('begin read only');
    await client.query('select 1');
    const isThere = (await lab.show('servers')).some(({ target, state }) => target === 'standby' && state === 'active');
    if (!isThere) await client.query('commit');
    return isThere;
  }, 'a transaction on the standby');
  assert.equal(await beginPause(admin, 'PAUSE'), 'waiting for 1 transaction');
  await lab.until(async () => (await lab.backends()) === 0, 'the backend on the primary to be closed');
  await client.query('select 2');
  await client.query('commit');
  assert.equal((await admin.reply()).error, null);
  assert.deepEqual(
    (await lab.show('servers')).filter(({ database }) => database === 'app'),
    [],
  );
});
