import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { messageOf } from '../errors.js';
import { formatSize } from '../util/units.js';
import { ConfigError, type ConfigProblem } from './config-error.js';
import { explainIssues, wordIssue } from './explain.js';
import type { Environment } from './interpolate.js';
import { findOddities } from './oddities.js';
import { type Remark, formatPath } from './place.js';
import { type Reading, wrong } from './reading.js';
import { type Config, type ConfigFiles, configSchema } from './schema.js';
import { schemaTree } from './schema-tree.js';
import { type YamlTree, readYamlTree } from './yaml-tree.js';

/** A configuration that can be used. */
export interface LoadedConfig {
  /** Deeply frozen. */
  readonly config: Config;
  /** Legal, but likely not meant. */
  readonly warnings: readonly ConfigProblem[];
  /** As it was read: `${NAME}` stands where it stood. */
  readonly text: string;
}

/** Where a configuration text comes from. */
export interface ConfigOrigin {
  /** How the file is called in messages. */
  readonly fileName: string;
  /** What `${NAME}` may name. */
  readonly env: Environment;
  /** The folder that `*_file` paths begin at. */
  readonly folder: string;
}

/** Larger configuration files are refused. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;
/** Larger secrets are refused: the path is surely wrong. */
const SECRET_BYTES_MAX = 64 * 1024;

/**
 * Reads a configuration file, and the secrets in files that it names.
 * @throws ConfigError with everything that is wrong with it
 */
export function loadConfig(path: string, env: Environment): LoadedConfig {
  const text = readTextFile(path, FILE_BYTES_MAX);
  if (!text.ok) {
    throw new ConfigError([{ fileName: path, line: null, column: null, path: '', message: text.problem }]);
  }
  return parseConfig(text.value, { fileName: path, env, folder: dirname(path) });
}

/**
 * Reads the text of a configuration file.
 * @throws ConfigError with everything that is wrong with it
 */
export function parseConfig(text: string, origin: ConfigOrigin): LoadedConfig {
  const tree = readYamlTree(text, origin.env);
  const { config, problems } =
    tree.value === undefined ? { config: null, problems: tree.problems } : check(tree, origin);
  if (config === null || problems.length > 0) {
    throw new ConfigError(locate(problems, origin.fileName));
  }
  const oddities = findOddities(config, tree).map((odd) => ({ ...odd, at: tree.positionOf(odd.path) }));
  return { config: freeze(config), warnings: locate([...tree.warnings, ...oddities], origin.fileName), text };
}

function check(
  tree: YamlTree,
  origin: ConfigOrigin,
): { readonly config: Config | null; readonly problems: readonly Remark[] } {
  const schema = configSchema(filesOf(origin.folder));
  // An empty file is a mapping without keys: what is required is then reported by name.
  const result = schema.safeParse(tree.value ?? {}, { error: wordIssue });
  return result.success
    ? { config: result.data, problems: tree.problems }
    : { config: null, problems: [...tree.problems, ...explainIssues(result.error.issues, schemaTree(), tree)] };
}

function filesOf(folder: string): ConfigFiles {
  return {
    readSecret: (path) => {
      const text = readTextFile(resolve(folder, path), SECRET_BYTES_MAX);
      if (!text.ok) {
        return wrong(`${path} ${text.problem}`);
      }
      const secret = text.value.replace(/\r?\n$/, '');
      return secret === '' ? wrong(`${path} is empty`) : { ok: true, value: secret };
    },
    checkFile: (path) => {
      const absolute = resolve(folder, path);
      const problem = whyUnreadable(absolute);
      return problem === null ? { ok: true, value: absolute } : wrong(`${path} ${problem}`);
    },
  };
}

function readTextFile(path: string, bytesMax: number): Reading<string> {
  try {
    if (!statSync(path).isFile()) {
      return wrong('is not a file');
    }
    const bytes = readFileSync(path);
    return bytes.length > bytesMax
      ? wrong(`is larger than ${formatSize(bytesMax)}`)
      : { ok: true, value: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (error) {
    return wrong(whyNot(error));
  }
}

function whyUnreadable(path: string): string | null {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path).isFile() ? null : 'is not a file';
  } catch (error) {
    return whyNot(error);
  }
}

function whyNot(error: unknown): string {
  switch (error instanceof Error && 'code' in error ? error.code : null) {
    case 'ENOENT':
      return 'does not exist';
    case 'EACCES':
      return 'may not be read by the user that this program runs as';
    case 'ERR_ENCODING_INVALID_ENCODED_DATA':
      return 'is not UTF-8 text';
    default:
      return `cannot be read: ${messageOf(error)}`;
  }
}

/** In the order of the file, which is the order in which people mend it. */
function locate(remarks: readonly Remark[], fileName: string): readonly ConfigProblem[] {
  return [...remarks]
    .sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column)
    .map(({ at, path, message }) => ({
      fileName,
      line: at.line,
      column: at.column,
      path: formatPath(path),
      message,
    }));
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) {
      freeze(inner);
    }
  }
  return value;
}
