import { NodeError } from '../../backend/node-error.js';
import type { MonitorConfig } from '../../config/schema.js';
import { messageOf, SwitchyardError } from '../../errors.js';
import { userLookupStatements } from '../demo/user-lookup.js';

/** SQL's way to write a name: as it is where that means the same, else in quotes. */
export function quoteName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** What to do so that the monitor role can log in; `error` is what its log-in failed with. */
export function mendLogin(error: unknown, { user, database, password }: MonitorConfig): string[] {
  const role = quoteName(user);
  if (error instanceof NodeError) {
    switch (error.sqlState) {
      case '28P01':
        return [
          'Either the role does not exist. On the primary:',
          ...makeRole(role),
          'or its password is another one than cluster.monitor.password. On the primary:',
          `  ALTER ROLE ${role} PASSWORD '...';`,
        ];
      case '28000':
        return mendRefusal(error.message, role, database);
      case '3D000':
        return [`There is no database "${database}": set cluster.monitor.database to one that there is.`];
      case '42501':
        return ['On the primary:', `  GRANT CONNECT ON DATABASE ${quoteName(database)} TO ${role};`];
      case '53300':
        return ['All connections of the node are taken: raise max_connections, or find out who has them.'];
      default:
        return [];
    }
  }
  if (error instanceof SwitchyardError && error.code === 'backend_login_failed') {
    if (password === null) return ['Set cluster.monitor.password, or cluster.monitor.password_file.'];
    return [error.detail, error.hint].filter((text) => text !== null);
  }
  return [];
}

/** invalid_authorization_specification: the texts are PostgreSQL's own (miscinit.c, auth.c), as it says them in English. */
function mendRefusal(message: string, role: string, database: string): string[] {
  if (/role .* does not exist/.test(message)) return ['On the primary:', ...makeRole(role)];
  if (/not permitted to log in/.test(message)) return ['On the primary:', `  ALTER ROLE ${role} LOGIN;`];
  const client = /host "([^"]+)"/.exec(message)?.[1] ?? 'ADDRESS-OF-THE-PROXY';
  const range = client.includes(':') ? `${client}/128` : `${client}/32`;
  return [
    'Add to pg_hba.conf of every node (with Patroni: postgresql.pg_hba), above a line that rejects, and reload:',
    `  host  ${quoteName(database)}  ${role}  ${client.includes('ADDRESS') ? client : range}  scram-sha-256`,
  ];
}

function makeRole(role: string): string[] {
  return [`  CREATE ROLE ${role} LOGIN PASSWORD '...';`, `  GRANT pg_monitor TO ${role};`];
}

/** What to do so that the monitor role can look up the secrets of users. */
export function mendUserLookup(user: string, database: string): string[] {
  const statements = userLookupStatements(quoteName(user)).map((sql) => `  ${sql.replaceAll(/\n\s*/g, '\n    ')};`);
  return [
    `On the primary, in the database "${database}", as a superuser:`,
    ...statements,
    'and in the configuration of the proxy:',
    '  auth:',
    '    query: "SELECT rolname, rolpassword FROM switchyard.user_lookup($1)"',
  ];
}

/** A failure in one line, with the SQLSTATE where there is one. */
export function sayError(error: unknown): string {
  return error instanceof NodeError ? `${error.message} (${error.sqlState})` : messageOf(error);
}
