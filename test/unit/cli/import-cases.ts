import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ClusterWishes } from '../../../src/cli/import/clusters.js';
import { convert } from '../../../src/cli/import/convert.js';
import type { Converted } from '../../../src/cli/import/convert.js';
import { filesOfMachine } from '../../../src/cli/import/input-files.js';
import type { InputFiles } from '../../../src/cli/import/input-files.js';
import type { Environment } from '../../../src/config/interpolate.js';

/** Nothing is known about the cluster. */
export const NO_WISHES: ClusterWishes = { etcd: [], scope: null, nodes: false };

/** The folder of the samples; run from dist/test/unit/cli. */
export const SAMPLES = fileURLToPath(new URL('../../../../test/fixtures/import/', import.meta.url));

export interface ImportCase {
  /** Folder below the samples, with the golden file in it. */
  readonly name: string;
  readonly pgbouncer: boolean;
  readonly haproxy: boolean;
  readonly wishes: ClusterWishes;
  readonly env: Environment;
  /** What fills the marked places. */
  readonly fill: Environment;
  /** Some lines of it cannot be understood. */
  readonly isBroken: boolean;
}

const usual = { pgbouncer: true, haproxy: false, wishes: NO_WISHES, env: {}, isBroken: false };
const fill = { PATRONI_SCOPE: 'pg', ETCD_HOSTS: '10.0.0.1:2379,10.0.0.2:2379', MONITOR_PASSWORD: 'x' };

export const IMPORT_CASES: readonly ImportCase[] = [
  { ...usual, name: 'minimal', fill },
  {
    ...usual,
    name: 'full',
    wishes: { etcd: ['10.0.0.1:2379', '10.0.0.2'], scope: 'shop', nodes: false },
    fill: { MONITOR_PASSWORD: 'x', PASSWORD_BATCH: 'y' },
  },
  { ...usual, name: 'broken', isBroken: true, fill: { ...fill, USERLIST_FILE: join(SAMPLES, 'full/userlist.txt') } },
  { ...usual, name: 'patroni', haproxy: true, fill },
  { ...usual, name: 'pooled', haproxy: true, fill, isBroken: true },
  {
    ...usual,
    name: 'odd',
    pgbouncer: false,
    haproxy: true,
    wishes: { etcd: [], scope: 'odd', nodes: true },
    fill: { MONITOR_PASSWORD: 'x', PG_BIND: '127.0.0.2' },
    isBroken: true,
  },
];

/** Converts a sample as if somebody stood in its folder. */
export function convertCase({ name, pgbouncer, haproxy, wishes, env }: ImportCase): Converted {
  const folder = join(SAMPLES, name);
  const input = (path: string) => ({ path, text: readFileSync(join(folder, path), 'utf8') });
  return convert({
    pgbouncer: pgbouncer ? input('pgbouncer.ini') : null,
    haproxy: haproxy ? [input('haproxy.cfg')] : [],
    wishes,
    env,
    files: filesOfMachine(folder),
  });
}

/** Converts texts; `others` are the files that they name, at `/`. */
export function convertTexts(
  texts: { readonly ini?: string; readonly cfg?: string },
  more: {
    readonly wishes?: ClusterWishes;
    readonly env?: Environment;
    readonly others?: Readonly<Record<string, string>>;
  } = {},
): Converted {
  const { ini, cfg } = texts;
  const files: InputFiles = {
    cwd: '/',
    read: (path) => {
      const text = Object.hasOwn(more.others ?? {}, path) ? more.others?.[path] : undefined;
      return text === undefined ? { ok: false, problem: 'does not exist' } : { ok: true, value: text };
    },
  };
  return convert({
    pgbouncer: ini === undefined ? null : { path: 'p.ini', text: ini },
    haproxy: cfg === undefined ? [] : [{ path: 'h.cfg', text: cfg }],
    wishes: more.wishes ?? NO_WISHES,
    env: more.env ?? {},
    files,
  });
}
