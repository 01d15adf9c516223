/** What can keep a waiter from his backend. The names are those of the keys of the configuration, but for the last. */
export const Bound = {
  Size: 'size',
  Database: 'max_backends_per_database',
  User: 'max_backends_per_user',
  Node: 'max_backends_per_node',
  Total: 'max_backends',
  Logins: 'login_concurrency',
  /** The node lets nobody in. */
  Failing: 'failing_logins',
} as const;
export type Bound = (typeof Bound)[keyof typeof Bound];
