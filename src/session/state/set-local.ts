import { isCircumstance } from './remains.js';

/** Names of settings of the proxy itself begin with this. */
export const OWN_PREFIX = 'switchyard.';

/** How SET LOCAL, and a lone call of set_config for the transaction, begin and end. */
const SET_LOCAL = /^\s*set\s+local\s+/i;
const CONFIG_LOCAL = /^(\s*select\s+pg_catalog\.set_config\(.*),\s*true\)$/is;

/** What is set for the transaction only is of interest while that lasts. */
export function isHeededLocally(name: string): boolean {
  return isCircumstance(name) || name.startsWith(OWN_PREFIX);
}

/** What sets for the session what `sql` has set for the transaction. */
export function forSession(sql: string): string {
  return sql.replace(SET_LOCAL, 'SET ').replace(CONFIG_LOCAL, '$1, false)');
}
