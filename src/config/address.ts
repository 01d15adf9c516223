import { isIP } from 'node:net';
import { type Reading, wrong } from './reading.js';

/** Where something listens or is dialled. */
export interface HostPort {
  readonly host: string;
  /** 0 to 65535; 0 only for listeners: any free port. */
  readonly port: number;
}

/** The host of a listener on every interface, IPv6 and IPv4 alike. */
export const EVERY_INTERFACE = '::';

/** A network of client addresses, in the form that `node:net` BlockList.addSubnet takes. */
export interface AddressRange {
  readonly address: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

const HOST_PATTERN = /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$/;
const PORT_MAX = 65_535;

/** Reads `host:port`, `[::1]:port`, `*:port` or `:port`; the last two listen on {@link EVERY_INTERFACE}. */
export function parseListenAddress(text: string): Reading<HostPort> {
  const parts = splitPort(text);
  if (parts === null || parts.port === null) {
    return wrong(`"${text}" is not an address: write host:port, [::1]:port or *:port`);
  }
  if (parts.host === '' || parts.host === '*') {
    return withPort(EVERY_INTERFACE, parts.port, 0);
  }
  return isHost(parts.host) ? withPort(parts.host, parts.port, 0) : wrong(`"${parts.host}" is not a host name`);
}

/** Reads one address to dial: `host:port`, `[::1]:port`, or only a host, which takes `defaultPort`. */
export function parseDialAddress(text: string, defaultPort: number): Reading<HostPort> {
  if (isIP(text) === 6) {
    return { ok: true, value: { host: text, port: defaultPort } };
  }
  const parts = splitPort(text);
  if (parts === null || !isHost(parts.host)) {
    return wrong(`"${text}" is not an address: write host:port or [::1]:port`);
  }
  return parts.port === null
    ? { ok: true, value: { host: parts.host, port: defaultPort } }
    : withPort(parts.host, parts.port, 1);
}

/** Reads `10.0.0.0/8`, `::1/128` or a single address. Bits behind the prefix are ignored, as in pg_hba.conf. */
export function parseAddressRange(text: string): Reading<AddressRange> {
  const slash = text.indexOf('/');
  const address = slash === -1 ? text : text.slice(0, slash);
  const version = isIP(address);
  if (version === 0 || address.includes('%')) {
    return wrong(`"${text}" is not an address range: write 10.0.0.0/8, ::1/128, a single address, or all`);
  }
  const bits = version === 4 ? 32 : 128;
  const prefixText = slash === -1 ? String(bits) : text.slice(slash + 1);
  const prefix = /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : Number.NaN;
  if (!(prefix <= bits)) {
    return wrong(`"${text}": the prefix length must be 0 to ${bits}`);
  }
  return { ok: true, value: { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' } };
}

/** `host:port`, with brackets round an IPv6 address. */
export function formatAddress(address: HostPort): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** True when both cannot be bound at the same time on one machine. */
export function addressesCollide(a: HostPort, b: HostPort): boolean {
  if (a.port !== b.port || a.port === 0) {
    return false;
  }
  const hostA = a.host.toLowerCase();
  const hostB = b.host.toLowerCase();
  // Node binds :: for both families (it leaves IPV6_V6ONLY off), so it takes the port from every IPv4 address too.
  if (hostA === hostB || hostA === EVERY_INTERFACE || hostB === EVERY_INTERFACE) {
    return true;
  }
  return (hostA === '0.0.0.0' && isIP(hostB) !== 6) || (hostB === '0.0.0.0' && isIP(hostA) !== 6);
}

/** True for 127.0.0.0/8, ::1 and localhost: nobody outside this machine can come in there. */
export function isLoopback(host: string): boolean {
  return host === '::1' || host.toLowerCase() === 'localhost' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** True for an IP address or a host name. */
export function isHost(host: string): boolean {
  return isIP(host) !== 0 || (host.length <= 253 && HOST_PATTERN.test(host));
}

/** Takes the port off; null when it cannot be told apart from the host (an IPv6 address without brackets). */
function splitPort(text: string): { readonly host: string; readonly port: string | null } | null {
  if (text.startsWith('[')) {
    const match = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
    return match === null || isIP(match[1] ?? '') !== 6 ? null : { host: match[1] ?? '', port: match[2] ?? null };
  }
  const colon = text.indexOf(':');
  if (colon === -1) {
    return { host: text, port: null };
  }
  return text.includes(':', colon + 1) ? null : { host: text.slice(0, colon), port: text.slice(colon + 1) };
}

function withPort(host: string, portText: string, portMin: number): Reading<HostPort> {
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : Number.NaN;
  return port >= portMin && port <= PORT_MAX
    ? { ok: true, value: { host, port } }
    : wrong(`"${portText}" is not a port number (${portMin} to ${PORT_MAX})`);
}
