import { isIPv6 } from 'node:net';
import { nodeName } from '../util/brand.js';
import type { Lsn, MemberClaim } from './claims.js';
import {
  type JsonObject,
  type ReadResult,
  isJsonObject,
  isTruthy,
  parseJsonObject,
  readInteger,
  readLsn,
  readNumber,
} from './patroni-values.js';

const POSTGRES_PORT = 5432;
const PORT_MAX = 65_535;
/** PostgreSQL counts timelines in 32 bits. */
const TIMELINE_MAX = 0xffff_ffff;

/** Where a member's PostgreSQL listens. */
interface Place {
  readonly host: string;
  readonly port: number;
}

/** What a member key says; `claim` is null when it does not say where the member is. */
export interface DecodedMember {
  readonly claim: MemberClaim | null;
  readonly problems: readonly string[];
}

/**
 * Decodes the value of `members/<name>` as Patroni 3.0 to 4.1 write it: a JSON object, or the bare connection URL of its oldest
 * days. A field that cannot be understood becomes null and a problem; without a usable address there is no claim at all.
 */
export function decodeMember(name: string, value: string): DecodedMember {
  const problems: string[] = [];
  const data = memberData(value);
  if (!data.ok) {
    return { claim: null, problems: [data.why] };
  }
  const fields = data.value;
  const place = placeOf(fields);
  if (!place.ok) {
    return { claim: null, problems: [place.why] };
  }
  const tags = tagsOf(fields, problems);
  const claim: MemberClaim = {
    name: nodeName(name),
    host: place.value.host,
    port: place.value.port,
    apiUrl: textOf(fields, 'api_url', problems),
    role: textOf(fields, 'role', problems),
    state: textOf(fields, 'state', problems),
    replicationState: textOf(fields, 'replication_state', problems),
    timeline: timelineOf(fields, problems),
    xlogLocation: lsnOf(fields, 'xlog_location', problems),
    receiveLsn: lsnOf(fields, 'receive_lsn', problems),
    replayLsn: lsnOf(fields, 'replay_lsn', problems),
    noloadbalance: isTruthy(tags['noloadbalance']),
    nofailover: isNofailover(tags),
    tags: tagTexts(tags),
    pendingRestart: isTruthy(fields['pending_restart']),
    version: textOf(fields, 'version', problems),
  };
  return { claim: Object.freeze(claim), problems };
}

function memberData(value: string): ReadResult<JsonObject> {
  if (!value.startsWith('postgres')) {
    return parseJsonObject(value);
  }
  const apiUrl = /[?&]application_name=([^&#]*)/.exec(value)?.[1];
  const decoded = apiUrl === undefined ? null : percentDecoded(apiUrl);
  return { ok: true, value: { conn_url: value, ...(decoded === null ? {} : { api_url: decoded }) } };
}

/** `conn_url`, or `conn_kwargs` where some operators write only these. */
function placeOf(fields: JsonObject): ReadResult<Place> {
  const connUrl = fields['conn_url'];
  if (typeof connUrl === 'string' && connUrl !== '') {
    return parseConnUrl(connUrl);
  }
  const kwargs = fields['conn_kwargs'];
  if (isJsonObject(kwargs)) {
    const host = kwargs['host'];
    const port = readNumber(kwargs['port'] ?? POSTGRES_PORT, 1, PORT_MAX);
    if (port === null) {
      return { ok: false, why: 'conn_kwargs: the port is none' };
    }
    return typeof host === 'string'
      ? checkedHost(host, port, 'conn_kwargs')
      : { ok: false, why: 'conn_kwargs: no host' };
  }
  return { ok: false, why: connUrl === undefined ? 'no conn_url' : 'conn_url: not a text' };
}

/**
 * Host and port of a `postgres://` URL (PostgreSQL documentation, "Connection URIs"). User information is skipped, and never
 * repeated in a message, since it may hold a password. One host only: which of several is the member could not be known.
 */
export function parseConnUrl(url: string): ReadResult<Place> {
  const authority = /^postgres(?:ql)?:\/\/([^/?#]*)/i.exec(url)?.[1];
  if (authority === undefined) {
    return { ok: false, why: 'conn_url: not a postgres:// URL' };
  }
  const address = authority.slice(authority.lastIndexOf('@') + 1);
  if (address.includes(',')) {
    return { ok: false, why: 'conn_url: names several hosts' };
  }
  const parts = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/.exec(address);
  if (parts === null) {
    return { ok: false, why: 'conn_url: the address is not host:port' };
  }
  const [, bracketed, plain, portText] = parts;
  const port = portText === undefined || portText === '' ? POSTGRES_PORT : readNumber(portText, 1, PORT_MAX);
  if (port === null) {
    return { ok: false, why: 'conn_url: the port is none' };
  }
  const host = percentDecoded(bracketed ?? plain ?? '');
  if (host === null || (bracketed !== undefined && !isIPv6(host))) {
    return { ok: false, why: 'conn_url: the host is none' };
  }
  return checkedHost(host, port, 'conn_url');
}

function checkedHost(host: string, port: number, field: string): ReadResult<Place> {
  if (host === '') {
    return { ok: false, why: `${field}: no host` };
  }
  if (host.startsWith('/') || host.startsWith('@')) {
    return { ok: false, why: `${field}: names a Unix socket, not a host` };
  }
  // Control characters would let a value forge log lines; white space and slashes are never part of a host.
  return /[\s/,\p{Cc}]/u.test(host)
    ? { ok: false, why: `${field}: the host is none` }
    : { ok: true, value: { host, port } };
}

function percentDecoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

function textOf(fields: JsonObject, field: string, problems: string[]): string | null {
  const value = fields[field];
  if (value === undefined || value === null || typeof value === 'string') {
    return value ?? null;
  }
  problems.push(`${field}: not a text`);
  return null;
}

function timelineOf(fields: JsonObject, problems: string[]): number | null {
  const value = fields['timeline'];
  if (value === undefined || value === null) {
    return null;
  }
  const timeline = readNumber(value, 0, TIMELINE_MAX);
  if (timeline === null) {
    problems.push('timeline: not a timeline number');
  }
  // Patroni writes 0 while it does not know.
  return timeline === 0 ? null : timeline;
}

function lsnOf(fields: JsonObject, field: string, problems: string[]): Lsn | null {
  const value = fields[field];
  if (value === undefined || value === null) {
    return null;
  }
  const lsn = readLsn(value);
  if (lsn === null) {
    problems.push(`${field}: not a WAL position`);
  }
  return lsn;
}

function tagsOf(fields: JsonObject, problems: string[]): JsonObject {
  const tags = fields['tags'];
  if (tags === undefined || tags === null) {
    return {};
  }
  if (!isJsonObject(tags)) {
    problems.push('tags: not a JSON object');
    return {};
  }
  return tags;
}

/** As Patroni decides it: `nofailover` if it is there, else a `failover_priority` that is not positive. */
function isNofailover(tags: JsonObject): boolean {
  const own = tags['nofailover'];
  if (own !== undefined && own !== null) {
    return isTruthy(own);
  }
  const priority = readInteger(tags['failover_priority']);
  return priority !== null && priority <= 0n;
}

function tagTexts(tags: JsonObject): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const [tag, value] of Object.entries(tags)) {
    if (value !== null) {
      texts.set(tag, typeof value === 'string' ? value : JSON.stringify(value));
    }
  }
  return texts;
}
