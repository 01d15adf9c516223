import { parseSize, formatSize } from '../../util/units.js';

/** What a check of Patroni's REST API says about the sessions that go through it. */
export interface CheckedRole {
  readonly route: 'primary' | 'standby';
  readonly prefer: 'sync' | 'async' | null;
  /** The primary takes such sessions too. */
  readonly includesPrimary: boolean;
  readonly tags: ReadonlyMap<string, string>;
  /** Bytes of WAL as our configuration writes them; null: the check has no limit. */
  readonly maxLag: string | null;
  /** Parameters that mean nothing here. */
  readonly ignored: readonly string[];
}

type Role = Pick<CheckedRole, 'route' | 'prefer' | 'includesPrimary'>;
const PRIMARY: Role = { route: 'primary', prefer: null, includesPrimary: true };
const STANDBY: Role = { route: 'standby', prefer: null, includesPrimary: false };

/** Paths that tell roles apart (Patroni's documentation, "Patroni REST API", "Health check endpoints"). */
const ROLES: ReadonlyMap<string, Role> = new Map([
  ['/', PRIMARY],
  ['/primary', PRIMARY],
  ['/master', PRIMARY],
  ['/leader', PRIMARY],
  ['/read-write', PRIMARY],
  ['/standby-leader', PRIMARY],
  ['/standby_leader', PRIMARY],
  ['/replica', STANDBY],
  ['/read-only', { ...STANDBY, includesPrimary: true }],
  ['/sync', { ...STANDBY, prefer: 'sync' }],
  ['/synchronous', { ...STANDBY, prefer: 'sync' }],
  ['/read-only-sync', { ...STANDBY, prefer: 'sync', includesPrimary: true }],
  ['/quorum', { ...STANDBY, prefer: 'sync' }],
  ['/read-only-quorum', { ...STANDBY, prefer: 'sync', includesPrimary: true }],
  ['/async', { ...STANDBY, prefer: 'async' }],
  ['/asynchronous', { ...STANDBY, prefer: 'async' }],
]);

/** What a path such as `/replica?lag=16MB&tag_zone=east` asks for; null where it does not tell roles apart (`/health`, `/patroni`). */
export function roleOfCheck(path: string): CheckedRole | null {
  const question = path.indexOf('?');
  const role = ROLES.get(question === -1 ? path : path.slice(0, question));
  if (role === undefined) return null;
  const tags = new Map<string, string>();
  const ignored: string[] = [];
  let maxLag: string | null = null;
  for (const [name, value] of new URLSearchParams(question === -1 ? '' : path.slice(question))) {
    const lag = name === 'lag' ? lagOf(value) : null;
    if (lag !== null) maxLag = lag;
    else if (name.startsWith('tag_') && name !== 'tag_') tags.set(name.slice('tag_'.length), value);
    // Standbys that do not stream get no work as it is (routing.require_streaming).
    else if (name !== 'replication_state' || value !== 'streaming') ignored.push(name);
  }
  return { ...role, tags, maxLag, ignored };
}

/** Patroni takes bytes, or PostgreSQL's units. */
function lagOf(value: string): string | null {
  const parsed = parseSize(/^\d+$/.test(value) ? `${value}B` : value);
  return parsed.ok && parsed.value > 0 ? formatSize(parsed.value) : null;
}

const PRIMARY_NAME = /primary|master|leader|writ|rw/i;
const STANDBY_NAME = /replica|standby|slave|secondar|read|ro(?![a-z])/i;

/** What somebody who called a proxy so most likely meant; null where the name says nothing. */
export function roleOfName(name: string): 'primary' | 'standby' | null {
  if (PRIMARY_NAME.test(name)) return 'primary';
  return STANDBY_NAME.test(name) ? 'standby' : null;
}
