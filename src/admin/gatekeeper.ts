import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { HostPort } from '../config/address.js';

/** Why a request is not carried out. */
export interface Refusal {
  readonly status: 401 | 403 | 415;
  readonly error: string;
}

/** Who may ask the admin server to do something. */
export interface AdminAccess {
  /** Where it listens. */
  readonly address: HostPort;
  /** Null: nobody over the network, everybody on this machine. */
  readonly token: string | null;
}

const SCHEME = /^Bearer +(\S+) *$/i;
const LOOPBACK_NAMES: ReadonlySet<string> = new Set(['localhost', 'ip6-localhost', 'localhost.']);

/**
 * Whether a request may change something; null when it may. With a token: whoever knows it. Without: processes of this machine, when the
 * server listens on the loopback only. Either way it must say that its body is JSON and name the server by an address of its own, so that
 * no page in a browser can do it: what it sends to a stranger is text or a form (the Fetch standard, "CORS-safelisted request-header"),
 * and behind a name that was bent to the loopback there is a name.
 */
export function whyRefused(
  headers: IncomingHttpHeaders,
  peer: string | undefined,
  access: AdminAccess,
): Refusal | null {
  if (access.token === null) {
    if (!isLoopback(access.address.host) || !isLoopback(peer ?? '')) {
      return {
        status: 403,
        error: 'who listens beyond the loopback needs admin.token to be asked for this; see docs/configuration.md',
      };
    }
    if (!isOwnName(headers.host ?? '', access.address.host)) {
      return { status: 403, error: 'the Host header is neither an address nor the name in admin.address' };
    }
  } else if (!isToken(headers.authorization ?? '', access.token)) {
    return { status: 401, error: 'the token of admin.token is needed (Authorization: Bearer ...)' };
  }
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  return type === 'application/json' ? null : { status: 415, error: 'the body must be JSON (application/json)' };
}

function isToken(authorization: string, token: string): boolean {
  const given = SCHEME.exec(authorization)?.[1];
  // Digests have one length and tell nothing by how long it takes to compare them.
  return given !== undefined && timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

export function isLoopback(host: string): boolean {
  if (LOOPBACK_NAMES.has(host.toLowerCase())) return true;
  const version = isIP(host);
  if (version === 0) return false;
  const loopback = new BlockList();
  loopback.addSubnet('127.0.0.0', 8, 'ipv4');
  loopback.addAddress('::1', 'ipv6');
  // An IPv4 peer of a socket for both is seen as ::ffff:127.0.0.1.
  return loopback.check(host, version === 6 ? 'ipv6' : 'ipv4');
}

/** A `Host` that a name server can have had no part in. */
function isOwnName(header: string, listened: string): boolean {
  const host = /^(?:\[([^\]]+)\]|([^:]*))(?::\d+)?$/.exec(header);
  const name = (host?.[1] ?? host?.[2] ?? '').toLowerCase();
  return isIP(name) !== 0 || LOOPBACK_NAMES.has(name) || (name !== '' && name === listened.toLowerCase());
}
