import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseDialAddress } from '../../config/address.js';
import type { HostPort } from '../../config/address.js';
import type { Environment } from '../../config/interpolate.js';
import { wrong } from '../../config/reading.js';
import type { Reading } from '../../config/reading.js';
import { readYamlTree } from '../../config/yaml-tree.js';
import { messageOf } from '../../errors.js';
import { ADMIN_PORT, fieldOf, findAdminAddress } from '../status/admin-address.js';

const TOKEN_ENV_NAME = 'SWITCHYARD_ADMIN_TOKEN';

/** The proxies that a command speaks to. */
export interface Admins {
  readonly addresses: readonly [HostPort, ...HostPort[]];
  readonly token: string | null;
}

export interface AdminWishes {
  readonly configPath: string;
  /** As given with `--admin`; none: the one of the environment or the configuration. */
  readonly admins: readonly string[];
  readonly tokenFile: string | null;
}

/** Finds the admin servers that are meant, and the token for them: of a file, of the environment, or of the configuration. */
export function findAdmins(wishes: AdminWishes, env: Environment): Reading<Admins> {
  const addresses: HostPort[] = [];
  for (const text of wishes.admins) {
    const address = parseDialAddress(text.replace(/^http:\/\//, '').replace(/\/$/, ''), ADMIN_PORT);
    if (!address.ok) return wrong(`--admin: ${address.problem}`);
    addresses.push(address.value);
  }
  if (addresses.length === 0) {
    const address = findAdminAddress(wishes.configPath, env);
    if (!address.ok) return address;
    addresses.push(address.value);
  }
  const token = findToken(wishes, env);
  if (!token.ok) return token;
  const [first, ...others] = addresses;
  return first === undefined
    ? wrong('no admin server is named')
    : { ok: true, value: { addresses: [first, ...others], token: token.value } };
}

function findToken({ configPath, tokenFile }: AdminWishes, env: Environment): Reading<string | null> {
  if (tokenFile !== null) return readSecret(tokenFile);
  const given = env[TOKEN_ENV_NAME] ?? '';
  if (given !== '') return { ok: true, value: given };
  let source: string;
  try {
    source = readFileSync(configPath, 'utf8');
  } catch {
    // Without a configuration there is no token in it.
    return { ok: true, value: null };
  }
  const tree = readYamlTree(source, env);
  const admin = fieldOf(tree.value, 'admin');
  const [token, file] = [fieldOf(admin, 'token'), fieldOf(admin, 'token_file')];
  if (typeof token === 'string' && token !== '' && !tree.isBroken(['admin', 'token'])) {
    return { ok: true, value: token };
  }
  return typeof file === 'string' ? readSecret(resolve(dirname(configPath), file)) : { ok: true, value: null };
}

function readSecret(path: string): Reading<string> {
  try {
    const secret = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    return secret === '' ? wrong(`${path} is empty`) : { ok: true, value: secret };
  } catch (error) {
    return wrong(`the token cannot be read: ${messageOf(error)}`);
  }
}
