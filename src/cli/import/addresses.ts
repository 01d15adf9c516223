import { isIP } from 'node:net';
import { isHost } from '../../config/address.js';
import { wrong } from '../../config/reading.js';
import type { Reading } from '../../config/reading.js';

/** An address of HAProxy; both parts may hold `${NAME}` where a variable had no value. */
export interface Endpoint {
  /** Null: none was written. */
  readonly host: string | null;
  readonly port: string | null;
}

const FAMILY = /^(?:(?:ipv|tcp)[46]|tcp)@/;
const OTHER_FAMILY = /^([a-z0-9+]+)@/;

/** Reads what HAProxy's bind and server lines call an address (its configuration manual, 11): `*:5000`, `ipv6@:::5000`, `[::1]:5432`. */
export function readEndpoint(text: string): Reading<Endpoint> {
  const plain = text.replace(FAMILY, '');
  const other = OTHER_FAMILY.exec(plain)?.[1];
  if (other !== undefined || plain.startsWith('/')) return wrong('is no address of TCP');
  if (isIP(plain) === 4 || (isIP(plain) === 6 && !/:\d{4,5}$/.test(plain)))
    return { ok: true, value: { host: plain, port: null } };
  // HAProxy takes what is behind the last colon for the port.
  const colon = plain.lastIndexOf(':');
  const host = (colon === -1 ? plain : plain.slice(0, colon)).replace(/^\[(.*)\]$/, '$1');
  const port = colon === -1 ? '' : plain.slice(colon + 1);
  if (/^[+\d]\d*-\d+$/.test(port)) return wrong('is a range of ports: write a listener for each');
  if (port !== '' && !/^\d{1,5}$/.test(port) && !port.includes('${')) return wrong('has no port that is a number');
  if (host !== '' && host !== '*' && !isHost(host) && !host.includes('${')) return wrong('is no address of TCP');
  return { ok: true, value: { host: host === '' || host === '*' ? null : host, port: port === '' ? null : port } };
}

/** `host:port` with brackets where they are needed. */
export function joinEndpoint(host: string, port: string): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Text whose variables had no value is a reference to ours; any other is what it is. */
export function asValue(text: string): string | { readonly reference: string } {
  return text.includes('${') ? { reference: text } : text;
}
