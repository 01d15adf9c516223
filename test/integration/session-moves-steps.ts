import fc from 'fast-check';
import type { Step } from './session-moves-lab.js';

/** What the steps refer to. */
export const appStatements: readonly string[] = [
  'create role r1',
  'create role r2',
  'grant r1, r2 to app',
  'create schema s1',
  'create schema s2',
  'grant all on schema s1, s2, public to r1, r2, app',
  'create table s1.one as select 1 as a',
  'create table s2.two as select 2 as a',
  'grant all on s1.one, s2.two to r1, r2, app',
  `create procedure public.set_it() language plpgsql as $$ begin perform set_config('app.b', 'call', false); end $$`,
  `create procedure public.commit_it() language plpgsql as $$ begin set app.c = 'committed'; commit; set app.c = 'lost'; raise exception 'no'; end $$`,
];

const either = (...texts: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...texts);

const settings = either(
  `set work_mem = '7MB'`,
  `set work_mem = '8MB'`,
  'set work_mem = bogus',
  'reset work_mem',
  'set work_mem to default',
  'set search_path = s1',
  'set search_path = s2, public',
  'reset search_path',
  `set timezone = 'Asia/Tokyo'`,
  `set time zone interval '-08:00' hour to minute`,
  'set time zone default',
  `set datestyle = 'German'`,
  `set datestyle = 'YMD'`,
  `set datestyle = 'ISO, DMY'`,
  'set session characteristics as transaction isolation level repeatable read',
  'set session characteristics as transaction read only, isolation level serializable',
  'set default_transaction_read_only = off',
  'set statement_timeout = 9000',
  `set app.a = 'x'`,
  `set app.a = 'josé'`,
  `set app.a = 'it''s \\\\ here'`,
  `set local app.b = 'local'`,
  'reset app.a',
  'reset all',
  `set client_encoding = 'LATIN1'`,
  `set names 'UTF8'`,
  'set standard_conforming_strings = off',
  'set standard_conforming_strings = on',
  'set escape_string_warning = off',
  `select set_config('work_mem', '9MB', false)`,
  `select set_config('app.c', 'x', true), set_config('app.d', 'é', false)`,
  'set local work_mem = 99',
  'set local search_path = s2',
  'set work_mem from current',
);
const users = either(
  'set role r1',
  'set role none',
  'reset role',
  'set session authorization r1',
  'set session authorization default',
  'set local role r2',
  'set role nobody',
  'set log_min_duration_statement = 77',
);
const transactions = either(
  'begin',
  'begin',
  'commit',
  'commit',
  'rollback',
  'savepoint s',
  'savepoint t',
  'rollback to s',
  'rollback to t',
  'release s',
  'commit and chain',
  'rollback and chain',
);
const statements = either(
  'prepare p1 as select 1',
  'prepare p2 (int) as select $1 + 1',
  `prepare p3 as select set_config('app.a', 'by p3', false)`,
  `prepare "p é" as select 'é \\\\'`,
  'prepare p4 as select a from one',
  'execute p1',
  'execute p2 (41)',
  'execute p3',
  'execute p4',
  'execute m1',
  'deallocate p1',
  'deallocate n1',
  'deallocate m1',
  'deallocate all',
);
const channels = either('listen c1', 'listen "Cé"', 'unlisten c1', 'unlisten *', 'unlisten "Cé"', 'listen c2');
const objects = either(
  'create temp table tt (a int)',
  'create temp table if not exists tt (a int)',
  'create temp table tt on commit drop as select 1',
  'drop table if exists tt',
  'drop table tt',
  'select 1 as a into temp uu',
  'alter table tt rename to uu',
  'drop table if exists uu',
  'discard temp',
  `create function pg_temp.f() returns int language sql as 'select 1'`,
  'drop function if exists pg_temp.f()',
  'declare c1 cursor with hold for select 1',
  'declare c2 cursor for select 1',
  'close c1',
  'close all',
  'select pg_advisory_lock(1)',
  'select pg_advisory_lock(1), 1 / (select 0)',
  'select pg_advisory_unlock(1)',
  'select pg_advisory_unlock_all()',
);
const programs = either(
  'do $$ begin end $$',
  `do $$ begin perform set_config('work_mem', '11MB', false); end $$`,
  `do $$ begin perform set_config('app.a', 'do', false); end $$`,
  `do $$ begin set app.d = 'do'; create temp table if not exists tt (a int); drop table tt; end $$`,
  `do $$ begin raise exception 'no'; end $$`,
  `do $$ begin execute 'prepare p1 as select 1'; execute 'listen c2'; end $$`,
  `do $$ begin execute 'set role r2'; end $$`,
  'call public.set_it()',
  'call public.commit_it()',
  'discard all',
  'discard plans',
);
const others = either(
  'select 1',
  'select 1 / 0',
  'selec 1',
  'select * from missing',
  `select 'é'`,
  'show work_mem',
  '',
);

export const statement = fc.oneof(
  { arbitrary: settings, weight: 6 },
  { arbitrary: users, weight: 1 },
  { arbitrary: transactions, weight: 4 },
  { arbitrary: statements, weight: 3 },
  { arbitrary: channels, weight: 2 },
  { arbitrary: objects, weight: 3 },
  { arbitrary: programs, weight: 1 },
  { arbitrary: others, weight: 2 },
);
const several = fc.array(statement, { minLength: 1, maxLength: 4 });
const preparedName = either('n1', 'n2');
const anyName = either('n1', 'n2', 'm1', 'p1', 'p3');
export const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant('simple' as const), statements: several }), weight: 3 },
  { arbitrary: statement.map((each) => ({ kind: 'simple' as const, statements: [each] })), weight: 8 },
  { arbitrary: fc.record({ kind: fc.constant('batch' as const), statements: several }), weight: 4 },
  {
    arbitrary: fc.record({ kind: fc.constant('prepare' as const), name: preparedName, statement }),
    weight: 2,
  },
  {
    // What SQL executes must not be a command for transactions, nor execute itself.
    arbitrary: fc.record({
      kind: fc.constant('prepare' as const),
      name: fc.constant('m1'),
      statement: fc.oneof(settings, others),
    }),
    weight: 1,
  },
  { arbitrary: anyName.map((name) => ({ kind: 'run' as const, name })), weight: 2 },
  { arbitrary: anyName.map((name) => ({ kind: 'close' as const, name })), weight: 1 },
  { arbitrary: fc.constant({ kind: 'move' as const }), weight: 8 },
);

/** What a client may do, in any order. */
export const sequence = fc.array(step, { minLength: 1, maxLength: 40, size: 'max' });
