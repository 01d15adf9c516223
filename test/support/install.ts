import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

const SYSTEM_FOLDERS = ['/usr/bin', '/usr/sbin', '/bin', '/sbin'] as const;

/** Path of a program in PATH or the system's folders (where `nft` and `haproxy` are), or null. */
export async function findProgram(name: string): Promise<string | null> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM_FOLDERS].filter(
    (folder) => folder !== '',
  );
  for (const folder of folders) {
    const path = join(folder, name);
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  return null;
}

/** Paths of programs that a test cannot do without, in their order; throws with what to do when one is missing. */
export async function requirePrograms(...names: readonly string[]): Promise<string[]> {
  const paths: string[] = [];
  const missing: string[] = [];
  for (const name of names) {
    const path = await findProgram(name);
    if (path === null) missing.push(name);
    else paths.push(path);
  }
  if (missing.length > 0) throw new Error(`missing: ${missing.join(', ')}; run \`bash .ci/setup\``);
  return paths;
}
