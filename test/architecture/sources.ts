import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder that holds `src`; this file runs from `dist/test/architecture`. */
export const projectFolder = fileURLToPath(new URL('../../../', import.meta.url));

/** A source file and what it imports. */
export interface Source {
  /** From `src`, with slashes: `session/session.ts`. */
  readonly path: string;
  readonly text: string;
  /** Own files it imports, types included, as paths like `path`. */
  readonly imports: readonly string[];
  /** Those of them that are there at run time, and not only for their types. */
  readonly loads: readonly string[];
  /** Everything else it imports, as written. */
  readonly packages: readonly string[];
}

const IMPORT = /^(?:import|export)\s(type\s)?(?:[^'";]*?\sfrom\s)?\s*'([^']+)'/gm;
const DYNAMIC_IMPORT = /\bimport\((\s*)'([^']+)'/g;

/** Every TypeScript file below `src`. */
export function readSources(): readonly Source[] {
  const folder = join(projectFolder, 'src');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((path) => readSource(path.split(sep).join('/'), readFileSync(join(folder, path), 'utf8')));
}

export function readSource(path: string, text: string): Source {
  const found = [...text.matchAll(IMPORT), ...text.matchAll(DYNAMIC_IMPORT)].map(([, type = '', name = '']) => ({
    name,
    isType: type.startsWith('type'),
  }));
  const own = found
    .filter(({ name }) => name.startsWith('.'))
    .map(({ name, isType }) => ({
      path: slashes(normalize(join(dirname(path), name))).replace(/\.js$/, '.ts'),
      isType,
    }));
  return {
    path,
    text,
    imports: own.map((each) => each.path),
    loads: own.filter(({ isType }) => !isType).map((each) => each.path),
    packages: found.map(({ name }) => name).filter((name) => !name.startsWith('.')),
  };
}

function slashes(path: string): string {
  return relative('.', path).split(sep).join('/');
}

/**
 * One way round through the imports, if there is any: the first file once more at its end. Files of one folder may know each other's
 * types; those of different folders may not.
 */
export function findCycle(sources: readonly Source[]): readonly string[] | null {
  const counts = (source: Source, other: string): boolean =>
    source.loads.includes(other) || dirname(source.path) !== dirname(other);
  const imports = new Map(
    sources.map((source) => [source.path, source.imports.filter((other) => counts(source, other))]),
  );
  const done = new Set<string>();
  const way: string[] = [];
  const visit = (path: string): readonly string[] | null => {
    if (way.includes(path)) return [...way.slice(way.indexOf(path)), path];
    if (done.has(path)) return null;
    way.push(path);
    for (const next of imports.get(path) ?? []) {
      const cycle = visit(next);
      if (cycle !== null) return cycle;
    }
    way.pop();
    done.add(path);
    return null;
  };
  for (const { path } of sources) {
    const cycle = visit(path);
    if (cycle !== null) return cycle;
  }
  return null;
}
