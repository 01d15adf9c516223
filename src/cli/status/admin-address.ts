import { readFileSync } from 'node:fs';
import { EVERY_INTERFACE, parseDialAddress, parseListenAddress } from '../../config/address.js';
import type { HostPort } from '../../config/address.js';
import type { Environment } from '../../config/interpolate.js';
import { wrong } from '../../config/reading.js';
import type { Reading } from '../../config/reading.js';
import { readYamlTree } from '../../config/yaml-tree.js';
import { messageOf } from '../../errors.js';

export const ADMIN_PORT = 9432;
const DEFAULT_ADDRESS: HostPort = { host: '127.0.0.1', port: ADMIN_PORT };
const ENV_NAME = 'SWITCHYARD_ADMIN';

/**
 * Where the admin server of the running proxy is: SWITCHYARD_ADMIN (`host:port`), else what the configuration says, else the default.
 * The configuration is not checked: whoever asks for the status need not have its secrets.
 */
export function findAdminAddress(configPath: string, env: Environment): Reading<HostPort> {
  const chosen = env[ENV_NAME] ?? '';
  if (chosen !== '') {
    const result = parseDialAddress(chosen.replace(/^http:\/\//, '').replace(/\/$/, ''), ADMIN_PORT);
    return result.ok ? result : wrong(`${ENV_NAME}: ${result.problem}`);
  }
  let source: string;
  try {
    source = readFileSync(configPath, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return { ok: true, value: DEFAULT_ADDRESS };
    return wrong(`${configPath} cannot be read: ${messageOf(error)}`);
  }
  const result = addressIn(source, env);
  return result.ok ? result : wrong(`${configPath}: ${result.problem}`);
}

function addressIn(source: string, env: Environment): Reading<HostPort> {
  const tree = readYamlTree(source, env);
  if (tree.value === undefined && tree.problems.length > 0) {
    const { at, message } = tree.problems[0] ?? { at: { line: 1, column: 1 }, message: 'is no YAML' };
    return wrong(`line ${at.line}: ${message}`);
  }
  const admin = fieldOf(tree.value, 'admin');
  if (fieldOf(admin, 'enabled') === false) return wrong('admin.enabled is false: the proxy has no admin server to ask');
  if (tree.isBroken(['admin', 'address'])) {
    const problem = tree.problems.find(({ path }) => path.join('.') === 'admin.address');
    return wrong(`admin.address: ${problem?.message ?? 'cannot be made out'}`);
  }
  const written = fieldOf(admin, 'address');
  if (written === undefined) return { ok: true, value: DEFAULT_ADDRESS };
  if (typeof written !== 'string') return wrong('admin.address: must be host:port');
  const address = parseListenAddress(written);
  if (!address.ok) return wrong(`admin.address: ${address.problem}`);
  if (address.value.port === 0) return wrong(`admin.address has port 0: name the port that was taken in ${ENV_NAME}`);
  return { ok: true, value: { ...address.value, host: dialable(address.value.host) } };
}

/** Who listens everywhere listens on the loopback too. */
function dialable(host: string): string {
  return host === EVERY_INTERFACE || host === '0.0.0.0' ? '127.0.0.1' : host;
}

export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}
