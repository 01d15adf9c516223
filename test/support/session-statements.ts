/**
 * Query strings and what they leave behind in a session, in words:
 *
 *     pins listen            the session cannot move from now on
 *     unpins listen          that reason ends
 *     set search_path        can be replayed elsewhere
 *     resets search_path     back at the value of the log-in; `all`
 *     deallocates s1         prepared statements are gone; `all`
 *     begins                 a transaction may go on behind it
 *     controls               it begins or ends a transaction or savepoint
 *
 * The tables they use are made by {@link statementTables}.
 */
export type StatementRow = readonly [sql: string, effects: string];

export const statementTables = `
  create table accounts (id serial primary key, owner text, amount numeric, temp numeric, lastval int);
  create table temp (id int);
  insert into accounts (owner, amount) values ('ann', 1), ('bob', 2);
  create role other;
  create function pg_advisory_lock_not(int) returns int language sql as 'select $1';
  create procedure quiet() language sql as 'select 1';`;

const queries: readonly StatementRow[] = [
  ['', ''],
  [' ; ; -- nothing', ''],
  ['SELECT 1', ''],
  ['select * from accounts where owner = $$LISTEN x$$', ''],
  ['(SELECT 1) UNION (SELECT 2)', ''],
  ['((SELECT 1))', ''],
  ['VALUES (1), (2)', ''],
  ['TABLE accounts', ''],
  ['WITH a AS (SELECT 1) SELECT * FROM a', ''],
  ["INSERT INTO accounts (owner) VALUES ('SET x = 1') RETURNING id", ''],
  ['UPDATE accounts SET amount = amount + 1 WHERE id = 1', ''],
  ['DELETE FROM accounts WHERE id = -1', ''],
  ['MERGE INTO accounts a USING (SELECT 1 AS id) s ON a.id = s.id WHEN MATCHED THEN DO NOTHING', ''],
  ['SELECT id FROM accounts FOR UPDATE', ''],
  ['SHOW search_path', ''],
  ['EXPLAIN SELECT 1', ''],
  ['EXPLAIN (ANALYZE, COSTS OFF) SELECT 1', ''],
  ['EXPLAIN ANALYZE VERBOSE SELECT 1', ''],
  ['EXPLAIN (SELECT 1)', ''],
  ['EXPLAIN (ANALYZE) (SELECT 1)', ''],
  ['TRUNCATE temp', ''],
  ['COPY accounts TO STDOUT', ''],
  ['COPY accounts (owner) FROM STDIN', ''],
  ["COPY temp FROM PROGRAM 'true'", ''],
  ['VACUUM accounts', ''],
  ['ANALYZE accounts', ''],
  ['REINDEX TABLE temp', ''],
  ["NOTIFY news, 'LISTEN'", ''],
  ["COMMENT ON TABLE temp IS 'temp'", ''],
  ['GRANT SELECT ON accounts TO other', ''],
  ['CHECKPOINT', ''],
  ['selec 1', 'pins unknown_statement'],
  ['"select" 1', 'pins unknown_statement'],
  ["SELECT 'never ends", ''],
];

const schemaChanges: readonly StatementRow[] = [
  ['CREATE TABLE t1 (temp numeric, temporary int)', ''],
  ['CREATE TABLE IF NOT EXISTS temp (id int)', ''],
  ['CREATE TABLE "temporary" (id int)', ''],
  ['CREATE UNLOGGED TABLE t2 AS SELECT 1 AS a', ''],
  ['CREATE INDEX ON accounts (temp)', ''],
  ['CREATE OR REPLACE VIEW v1 AS SELECT temp FROM accounts', ''],
  ['CREATE SCHEMA s1 CREATE TABLE t (a int) CREATE VIEW v AS SELECT 1 AS a', ''],
  ["CREATE FUNCTION f1() RETURNS int LANGUAGE sql SET search_path = '' AS 'SELECT 1'", ''],
  ['CREATE FUNCTION f2() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END', 'controls'],
  ["ALTER TABLE accounts ALTER owner SET DEFAULT 'x'", ''],
  ["ALTER ROLE other SET search_path = 'x'", ''],
  ["ALTER SYSTEM SET work_mem = '5MB'", ''],
  ['ALTER SYSTEM RESET ALL', ''],
  ['DROP TABLE IF EXISTS no_such_table', ''],
];

const temporaryObjects: readonly StatementRow[] = [
  ['CREATE TEMP TABLE x1 (a int)', 'pins temporary_object'],
  ['create temporary table x2 as select 1 as a', 'pins temporary_object'],
  ['CREATE LOCAL TEMPORARY TABLE x3 (a int)', 'pins temporary_object'],
  ['CREATE GLOBAL TEMP TABLE x4 (a int)', 'pins temporary_object'],
  ['CREATE TEMP TABLE IF NOT EXISTS x5 (a int)', 'pins temporary_object'],
  ['CREATE TEMP TABLE x6 (a int) ON COMMIT DELETE ROWS', 'pins temporary_object'],
  ['CREATE TEMP TABLE x7 (a int) ON COMMIT DROP', ''],
  ['CREATE TEMPORARY TABLE x8 ON COMMIT DROP AS SELECT 1 AS a', ''],
  ['CREATE TEMP VIEW x9 AS SELECT 1 AS a', 'pins temporary_object'],
  ['CREATE OR REPLACE TEMP VIEW x10 AS SELECT 1 AS a', 'pins temporary_object'],
  ['CREATE OR REPLACE TEMPORARY VIEW x11 AS SELECT 1 AS a', 'pins temporary_object'],
  ['CREATE TEMP RECURSIVE VIEW x12 (a) AS SELECT 1', 'pins temporary_object'],
  ['CREATE TEMP SEQUENCE x13', 'pins temporary_object'],
  ['/* a */ CREATE -- b\n /* c /* d */ */ TEMP TABLE x14 (a int)', 'pins temporary_object'],
  ['SELECT 1 AS a INTO TEMP x15', 'pins temporary_object'],
  ['SELECT 1 AS a INTO TEMPORARY TABLE x16', 'pins temporary_object'],
  ['SELECT 1 AS a INTO LOCAL TEMP x17', 'pins temporary_object'],
  ['SELECT 1 AS a INTO GLOBAL TEMPORARY TABLE x18', 'pins temporary_object'],
  ['WITH w AS (SELECT 1 AS a) SELECT a INTO TEMP x19 FROM w', 'pins temporary_object'],
  ['(SELECT 1 AS a INTO TEMP x20)', 'pins temporary_object'],
  ['SELECT 1 AS a INTO pg_temp.x21', 'pins temporary_object'],
  ['SELECT 1 AS a INTO t3', ''],
  ['INSERT INTO temp VALUES (1)', ''],
  ['WITH w AS (INSERT INTO temp VALUES (1) RETURNING id) SELECT * FROM w', ''],
  ['MERGE INTO temp t USING temp s ON t.id = s.id WHEN MATCHED THEN DO NOTHING', ''],
  ['CREATE TABLE pg_temp.x22 (a int)', 'pins temporary_object'],
  ['CREATE TABLE "pg_temp".x23 (a int)', 'pins temporary_object'],
  ["CREATE FUNCTION pg_temp.x24() RETURNS int LANGUAGE sql AS 'SELECT 1'", 'pins temporary_object'],
  ['CREATE TYPE PG_TEMP.x25 AS (a int)', 'pins temporary_object'],
  ['CREATE DOMAIN pg_temp.x26 AS int', 'pins temporary_object'],
  ['SELECT * FROM pg_temp_3.x27', 'pins temporary_object'],
  ['SELECT pg_temperature FROM accounts', ''],
  ['EXPLAIN ANALYZE CREATE TEMP TABLE x28 AS SELECT 1 AS a', 'pins temporary_object'],
  [
    'EXPLAIN (ANALYZE, BUFFERS, FORMAT json, TIMING off, SUMMARY off, VERBOSE) CREATE TEMP TABLE x29 AS SELECT 1 AS a',
    'pins temporary_object',
  ],
  ['EXPLAIN ANALYZE CREATE TABLE t4 AS SELECT 1 AS a', ''],
  ['DISCARD TEMP', 'unpins temporary_object'],
  ['DISCARD TEMPORARY', 'unpins temporary_object'],
  ['DROP TABLE IF EXISTS pg_temp.x1', 'pins temporary_object'],
];

const locksAndCursors: readonly StatementRow[] = [
  ['SELECT pg_advisory_lock(1)', 'pins advisory_lock'],
  ['SELECT pg_advisory_lock_shared(1, 2)', 'pins advisory_lock'],
  ['SELECT pg_try_advisory_lock(id) FROM accounts', 'pins advisory_lock'],
  ['SELECT pg_catalog . PG_TRY_ADVISORY_LOCK_SHARED /* here */ (1)', 'pins advisory_lock'],
  ['SELECT "pg_advisory_lock"(1)', 'pins advisory_lock'],
  ['SELECT U&"pg_advisory_loc\\006B"(1)', 'pins unknown_statement'],
  ['UPDATE accounts SET amount = 0 WHERE pg_try_advisory_lock(7) AND id = -1', 'pins advisory_lock'],
  ['EXPLAIN ANALYZE SELECT pg_advisory_lock(1)', 'pins advisory_lock'],
  ['COPY (SELECT pg_advisory_lock(1)) TO STDOUT', 'pins advisory_lock'],
  ["SELECT 'pg_advisory_lock(1)'", ''],
  ['SELECT 1 AS "pg_advisory_lock"', ''],
  ['SELECT pg_advisory_lock_not(1)', ''],
  ['SELECT pg_advisory_xact_lock(1)', ''],
  ['SELECT pg_try_advisory_xact_lock_shared(1)', ''],
  ['SELECT pg_advisory_unlock(1)', ''],
  ['SELECT pg_advisory_unlock_all()', 'unpins advisory_lock'],
  ['select pg_catalog.pg_advisory_unlock_all ( ) ;', 'unpins advisory_lock'],
  ['SELECT pg_advisory_unlock_all() WHERE false', ''],
  ['SELECT CASE WHEN false THEN pg_advisory_unlock_all() END', ''],
  ['EXPLAIN SELECT pg_advisory_unlock_all()', ''],
  ['SELECT pg_advisory_unlock_all(); SELECT pg_advisory_lock(1)', 'pins advisory_lock, unpins advisory_lock'],
  ['DECLARE c1 CURSOR WITH HOLD FOR SELECT 1', 'pins cursor_with_hold'],
  ['DECLARE c2 BINARY INSENSITIVE SCROLL CURSOR WITH HOLD FOR TABLE accounts', 'pins cursor_with_hold'],
  ['DECLARE c3 CURSOR WITHOUT HOLD FOR SELECT 1', ''],
  ['DECLARE c4 CURSOR FOR SELECT 1', ''],
  ['FETCH ALL FROM c1', ''],
  ['CLOSE c1', ''],
  ['CLOSE ALL', 'unpins cursor_with_hold'],
  ['CLOSE "all"', ''],
];

const notifications: readonly StatementRow[] = [
  ['LISTEN news', 'pins listen'],
  ['listen "news"', 'pins listen'],
  ['-- about LISTEN\nSELECT 1', ''],
  ['UNLISTEN news', ''],
  ['UNLISTEN *', 'unpins listen'],
  ['UNLISTEN "*"', ''],
];

const preparedStatements: readonly StatementRow[] = [
  ['PREPARE p1 AS SELECT 1', 'pins prepared_in_sql'],
  ['PREPARE p2 (int) AS SELECT pg_advisory_lock($1)', 'pins advisory_lock+prepared_in_sql'],
  ['PREPARE transaction AS SELECT 1', 'pins prepared_in_sql'],
  ['PREPARE "transaction" AS SELECT 1', 'pins prepared_in_sql'],
  ['PREPARE transaction (int) AS SELECT $1', 'pins prepared_in_sql'],
  ["PREPARE TRANSACTION 'gid'", 'controls'],
  ["COMMIT PREPARED 'gid'", 'controls'],
  ['PREPARE p3 AS SELECT pg_advisory_unlock_all()', 'pins prepared_in_sql'],
  ['EXECUTE p1', ''],
  ['EXPLAIN ANALYZE EXECUTE p1', ''],
  ['CREATE TEMP TABLE x30 AS EXECUTE p1', 'pins temporary_object'],
  ['DEALLOCATE s1', 'deallocates s1'],
  ['DEALLOCATE PREPARE S1', 'deallocates s1'],
  ['DEALLOCATE "S 1"', 'deallocates S 1'],
  ['DEALLOCATE PREPARE', 'deallocates prepare'],
  ['DEALLOCATE ALL', 'unpins prepared_in_sql, deallocates all'],
  ['DEALLOCATE PREPARE ALL', 'unpins prepared_in_sql, deallocates all'],
  ['DEALLOCATE "all"', 'deallocates the statement named all'],
  ['DEALLOCATE s1; DEALLOCATE s2', 'deallocates s1+s2'],
];

const settings: readonly StatementRow[] = [
  ['SET search_path = a, b', 'set search_path'],
  ['SET search_path TO a', 'set search_path'],
  ['set SESSION Search_Path to default', 'set search_path'],
  ['SET "search_path" = x', 'set search_path'],
  ["SET SCHEMA 'a'", 'set search_path'],
  ["SET search_path = 'pg_temp, public'", 'pins temporary_object, set search_path'],
  ['SET search_path = pg_temp', 'pins temporary_object, set search_path'],
  ["SET statement_timeout = '5s'", 'set statement_timeout'],
  ['SET work_mem FROM CURRENT', 'set work_mem'],
  ["SET app.user = 'ann; LISTEN x'", 'set app.user'],
  ['SET App . "Deep" . Name = 1', 'set app.deep.name'],
  ["SET session.user_id = '5'", 'set session.user_id'],
  ["SET local.x = '5'", 'set local.x'],
  ["SET SESSION local.x = '5'", 'set local.x'],
  ["SET names.x = '5'", 'set names.x'],
  ["SET transaction.x = '5'", 'set transaction.x'],
  ["SET TIME ZONE 'UTC'", 'set timezone'],
  ['SET TIME ZONE LOCAL', 'set timezone'],
  ["SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", 'set timezone'],
  ["SET SESSION TIME ZONE 'UTC'", 'set timezone'],
  ["SET timezone TO 'UTC'", 'set timezone'],
  ["SET NAMES 'LATIN1'", 'set client_encoding'],
  ["SET client_encoding TO 'UTF8'", 'set client_encoding'],
  ['SET XML OPTION DOCUMENT', 'set xmloption'],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', 'set default_transaction_read_only'],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE', 'set default_transaction_read_only'],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED', 'set default_transaction_isolation'],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'set default_transaction_isolation'],
  [
    'SET SESSION SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE',
    'set default_transaction_isolation',
  ],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION NOT DEFERRABLE', 'set default_transaction_deferrable'],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY', 'pins setting'],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ UNCOMMITTED READ ONLY', 'pins setting'],
  ['SET seed = 0.5', 'pins setting'],
  ['SET a.b.c.d.e.f.g.h.i.j = 1', 'pins setting'],
  [`SET app.long = '${'x'.repeat(5000)}'`, 'pins setting'],
  ['SET LOCAL search_path = a', ''],
  ["SET LOCAL TIME ZONE 'UTC'", ''],
  ['SET LOCAL ROLE other', ''],
  ["SET LOCAL SESSION AUTHORIZATION 'other'", ''],
  ['SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', ''],
  ['SET SESSION TRANSACTION READ ONLY', ''],
  ['SET transaction_read_only = on', ''],
  ['SET CONSTRAINTS ALL DEFERRED', ''],
  ['SET ROLE other', 'pins session_authorization'],
  ["SET ROLE 'other'", 'pins session_authorization'],
  ['SET SESSION ROLE other', 'pins session_authorization'],
  ['SET role TO other', 'pins session_authorization'],
  ['SET ROLE NONE', ''],
  ['SET ROLE "none"', 'pins session_authorization'],
  ['RESET ROLE', ''],
  ["SET SESSION AUTHORIZATION 'other'", 'pins session_authorization'],
  ['SET SESSION SESSION AUTHORIZATION other', 'pins session_authorization'],
  ["SET session_authorization = 'other'", 'pins session_authorization'],
  ['SET SESSION AUTHORIZATION DEFAULT', 'unpins session_authorization'],
  ['RESET SESSION AUTHORIZATION', 'unpins session_authorization'],
  ['RESET search_path', 'resets search_path'],
  ['RESET "Search_Path"', 'resets search_path'],
  ['RESET TIME ZONE', 'resets timezone'],
  ['RESET app.user', 'resets app.user'],
  ['RESET TRANSACTION ISOLATION LEVEL', ''],
  ['RESET ALL', 'unpins setting, resets all'],
  ["SELECT set_config('search_path', 'a', false)", 'pins setting'],
  ["SELECT set_config('app.user', 'ann', true)", ''],
  ["SELECT set_config('a.b', '(,', TRUE), pg_catalog.set_config('a.c', (SELECT max(owner) FROM accounts), true)", ''],
  ["SELECT set_config('a.b', 'x', true), set_config('a.c', 'x', false)", 'pins setting'],
  ["SELECT set_config('a.b', set_config('a.c', 'x', false), true)", 'pins setting'],
  ["SELECT set_config('a.b', 'x', not true)", 'pins setting'],
  ["SELECT set_config('a.b', 'x', is_local => true)", 'pins setting'],
  ["SELECT set_config('a.b', 'x', 'true')", 'pins setting'],
  ["WITH c AS (SELECT set_config('a.b', 'x', false)) SELECT * FROM c", 'pins setting'],
  ['SELECT setseed(0.5)', 'pins setting'],
];

const transactions: readonly StatementRow[] = [
  ['BEGIN', 'begins, controls'],
  ['BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY', 'begins, controls'],
  ['START TRANSACTION', 'begins, controls'],
  ['COMMIT', 'controls'],
  ['COMMIT AND CHAIN', 'begins, controls'],
  ['ROLLBACK WORK AND NO CHAIN', 'controls'],
  ['END', 'controls'],
  ['ABORT', 'controls'],
  ['SAVEPOINT s', 'controls'],
  ['RELEASE SAVEPOINT s', 'controls'],
  ['ROLLBACK TO s', 'controls'],
  ['BEGIN; CREATE TEMP TABLE x31 (a int); COMMIT', 'pins temporary_object, begins, controls'],
  ['BEGIN; SET search_path = a; COMMIT', 'pins setting, begins, controls'],
  ['SELECT 1; SET search_path = a', 'pins setting'],
  ['SET search_path = a; SET work_mem = 64', 'pins setting+setting'],
  ['SET search_path = a; RESET search_path', 'pins setting+setting'],
  ['SET search_path = a;', 'set search_path'],
  ['; SET search_path = a', 'set search_path'],
  ['UNLISTEN *; ROLLBACK', 'controls'],
  ['BEGIN; RESET ALL; ROLLBACK', 'pins setting, begins, controls'],
];

const others: readonly StatementRow[] = [
  ["LOAD 'plpgsql'", 'pins loaded_library'],
  ['DO $$ BEGIN PERFORM 1; END $$', 'pins procedure'],
  ['CALL quiet()', 'pins procedure'],
  ["SELECT nextval('accounts_id_seq')", ''],
  ["SELECT currval('accounts_id_seq')", 'pins sequence_state'],
  ['SELECT lastval()', 'pins sequence_state'],
  ['SELECT lastval, a.lastval FROM accounts a', ''],
  ["SELECT dblink_connect('c', 'dbname=x')", 'pins foreign_session'],
  ["SELECT pg_replication_origin_session_setup('x')", 'pins foreign_session'],
  ["SELECT pg_create_physical_replication_slot('slot1', false, true)", 'pins foreign_session'],
  ["SELECT pg_backup_start('now', true)", 'pins foreign_session'],
  ['DISCARD PLANS', ''],
  ['DISCARD SEQUENCES', 'unpins sequence_state'],
  [
    'DISCARD ALL',
    'unpins temporary_object+sequence_state+advisory_lock+cursor_with_hold+listen+setting+session_authorization+prepared_in_sql, resets all, deallocates all',
  ],
];

/** What well-known programs send to begin with, or to clean up. */
const programs: readonly StatementRow[] = [
  // asyncpg, when a connection goes back to its pool.
  [
    'SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;',
    'unpins advisory_lock+cursor_with_hold+listen+setting, resets all',
  ],
  // Npgsql, when a connection with prepared statements goes back to its pool.
  [
    'SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL;UNLISTEN *;SELECT pg_advisory_unlock_all();DISCARD SEQUENCES;DISCARD TEMP',
    'unpins session_authorization+setting+cursor_with_hold+listen+advisory_lock+sequence_state+temporary_object, resets all',
  ],
  // JDBC.
  ['SET extra_float_digits = 3', 'set extra_float_digits'],
  ["SET application_name = 'PostgreSQL JDBC Driver'", 'set application_name'],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', 'set default_transaction_read_only'],
  // Django and psycopg.
  ["SELECT set_config('TimeZone', 'UTC', false)", 'pins setting'],
  ["SET TIME ZONE 'Europe/Berlin'", 'set timezone'],
  ["SET default_transaction_isolation TO 'repeatable read'", 'set default_transaction_isolation'],
  // Rails.
  ["SET client_min_messages TO 'warning'", 'set client_min_messages'],
  ['SET standard_conforming_strings = on', 'set standard_conforming_strings'],
  ["SET SESSION timezone TO 'UTC'", 'set timezone'],
  // PostgREST, at the beginning of each of its transactions.
  [
    "select set_config('search_path', $1, true), set_config('role', $2, true), set_config('request.jwt.claims', $3, true)",
    '',
  ],
  // Sequelize.
  ['SHOW SERVER_VERSION', ''],
  // pg_dump.
  ["SELECT pg_catalog.set_config('search_path', '', false);", 'pins setting'],
];

export const statementGroups: Readonly<Record<string, readonly StatementRow[]>> = {
  queries,
  'schema changes': schemaChanges,
  'temporary objects': temporaryObjects,
  'locks and cursors': locksAndCursors,
  notifications,
  'prepared statements': preparedStatements,
  settings,
  transactions,
  others,
  programs,
};
