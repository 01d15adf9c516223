import { readFileSync } from 'node:fs';
import type { AuthConfig } from '../config/schema.js';
import type { Logger } from '../log.js';
import { parseUserlist } from './userlist.js';
import type { UserSources } from './users.js';

/** Asks the cluster: gives the rows, as texts. */
type Ask = (
  database: string,
  query: string,
  parameters: readonly string[],
) => Promise<readonly (readonly (string | null)[])[]>;

/**
 * Where users are known from, by the configuration. Reads the userlist; what it does not understand in there is logged.
 * @throws Error when the file cannot be read
 */
export function openUserSources(config: AuthConfig, ask: Ask, logger: Logger): UserSources {
  const { users, userlistFile, query, queryDatabase, queryCacheMs } = config;
  const list = userlistFile === null ? null : parseUserlist(readFileSync(userlistFile, 'utf8'));
  for (const problem of list?.problems ?? [])
    logger.warn({ file: userlistFile, ...problem }, 'userlist entry is not understood');
  return {
    users,
    userlist: list?.entries ?? [],
    runQuery:
      query === null
        ? null
        : async (user) => {
            const row = (await ask(queryDatabase, query, [user]))[0];
            if (row === undefined) return null;
            const validUntilEpochMs = Date.parse(row[2] ?? '');
            return {
              name: row[0] ?? user,
              secret: row[1] ?? null,
              validUntilEpochMs: Number.isNaN(validUntilEpochMs) ? null : validUntilEpochMs,
            };
          },
    queryCacheMs,
  };
}
