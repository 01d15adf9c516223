import { userLookupStatements } from '../../src/cli/demo/user-lookup.js';

/** The roles that every test cluster has. */
export const roles = {
  superuser: { user: 'postgres', password: 'supersecret', database: 'postgres' },
  /** Owner of the database `app`. */
  app: { user: 'app', password: 'apppass', database: 'app' },
  /** In `pg_monitor`; may look up verifiers with `switchyard.user_lookup` in the database `postgres`. */
  monitor: { user: 'monitor', password: 'monpass', database: 'postgres' },
} as const;

/** Makes the roles; one statement each, to be run in the database `postgres` as the superuser. */
export const roleStatements: readonly string[] = [
  `create role ${roles.app.user} login password '${roles.app.password}'`,
  `create role ${roles.monitor.user} login password '${roles.monitor.password}' in role pg_monitor`,
  `create database ${roles.app.database} owner ${roles.app.user}`,
  `grant pg_signal_backend to ${roles.app.user}`,
  ...userLookupStatements(roles.monitor.user),
];
