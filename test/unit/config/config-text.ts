import assert from 'node:assert/strict';
import { ConfigError, type ConfigProblem } from '../../../src/config/config-error.js';
import type { Environment } from '../../../src/config/interpolate.js';
import { type LoadedConfig, parseConfig } from '../../../src/config/load.js';

/** The cluster and listener that every configuration needs; other sections can be appended. */
export const MINIMAL = `cluster:
  scope: pg
  etcd3: { hosts: "127.0.0.1:2379" }
listeners:
  - { name: primary, address: "127.0.0.1:5000", route: primary }
`;

/** The same with a fixed list of nodes. */
export const MINIMAL_NODES = `cluster:
  nodes: [{ name: a, host: 10.0.0.1 }]
listeners:
  - { name: primary, address: "127.0.0.1:5000", route: primary }
`;

export function parse(text: string, env: Environment = {}, folder = '/nonexistent'): LoadedConfig {
  return parseConfig(text, { fileName: 'switchyard.yaml', env, folder });
}

/** The problems that make a text unusable. */
function problemsOf(text: string, env: Environment = {}, folder = '/nonexistent'): readonly ConfigProblem[] {
  try {
    parse(text, env, folder);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems;
  }
  return [];
}

/** Problems in short: `6:12 routing.max_lag: ...`. */
export function shortProblems(text: string, env: Environment = {}, folder = '/nonexistent'): readonly string[] {
  return problemsOf(text, env, folder).map(short);
}

/** Warnings in short. */
export function shortWarnings(text: string, env: Environment = {}): readonly string[] {
  return parse(text, env).warnings.map(short);
}

function short(problem: ConfigProblem): string {
  return `${problem.line}:${problem.column} ${problem.path}: ${problem.message}`;
}
