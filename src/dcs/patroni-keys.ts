import { nodeName } from '../util/brand.js';
import type {
  ClusterSettingsClaim,
  HistoryEntry,
  LeaderClaim,
  Lsn,
  MemberClaim,
  SwitchoverClaim,
  SyncClaim,
} from './claims.js';
import { decodeMember } from './patroni-member.js';
import {
  type JsonObject,
  isJsonObject,
  isTruthy,
  parseJson,
  parseJsonObject,
  readBoolean,
  readLsn,
  readNumber,
  readTimestamp,
} from './patroni-values.js';

/** One key under a cluster's prefix, as it stands in the DCS. */
export interface RawKey {
  /** The key without the prefix: `leader`, `members/node1`. */
  readonly suffix: string;
  readonly value: string;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
}

/** What one key says. */
export type KeyPart =
  | { readonly kind: 'leader'; readonly leader: LeaderClaim | null }
  | { readonly kind: 'member'; readonly member: MemberClaim | null }
  | { readonly kind: 'settings'; readonly settings: ClusterSettingsClaim }
  | { readonly kind: 'switchover'; readonly switchover: SwitchoverClaim | null }
  | { readonly kind: 'sync'; readonly sync: SyncClaim }
  | { readonly kind: 'history'; readonly history: readonly HistoryEntry[] }
  | { readonly kind: 'initialize'; readonly systemIdentifier: string | null }
  | { readonly kind: 'status'; readonly optime: Lsn | null }
  | { readonly kind: 'old-optime'; readonly optime: Lsn | null };

/** A decoded key, with what could not be understood (each sentence begins with the key). */
export interface DecodedKey {
  readonly part: KeyPart;
  readonly problems: readonly string[];
}

/** Patroni's defaults for the dynamic configuration (Patroni documentation, "Dynamic configuration settings"). */
export const DEFAULT_SETTINGS: ClusterSettingsClaim = Object.freeze({
  ttlS: 30,
  loopWaitS: 10,
  retryTimeoutS: 10,
  paused: false,
  synchronousMode: false,
  failsafeMode: false,
  standbyCluster: false,
});

/** More problems than this of one key are counted, not told. */
const KEY_PROBLEMS_MAX = 5;
const MEMBERS = 'members/';
const SECONDS_MAX = 0x7fff_ffff;
const TIMELINE_MAX = 0xffff_ffff;

/**
 * The folder of one cluster's keys, with a slash at the end: `/service/pg-cluster/`, or `/service/pg-cluster/0/` for a Citus group
 * (Patroni documentation, "Citus support").
 */
export function patroniPrefix(namespace: string, scope: string, group: number | null): string {
  return `/${namespace}/${scope}/${group === null ? '' : `${group}/`}`.replace(/\/+/g, '/');
}

/** Decodes one key; null for keys that mean nothing here. Never throws: what is malformed ends up in `problems`. */
export function decodeKey(key: RawKey): DecodedKey | null {
  if (key.suffix.startsWith(MEMBERS)) {
    const name = key.suffix.slice(MEMBERS.length);
    if (name === '' || name.includes('/')) {
      return null;
    }
    const { claim, problems } = decodeMember(name, key.value);
    return decoded(key, { kind: 'member', member: claim }, problems);
  }
  switch (key.suffix) {
    case 'leader':
      return decodeLeader(key);
    case 'config':
      return decodeSettings(key);
    case 'failover':
      return decodeSwitchover(key);
    case 'sync':
      return decodeSync(key);
    case 'history':
      return decodeHistory(key);
    case 'initialize':
      return decodeInitialize(key);
    case 'status':
      return decodeStatus(key);
    case 'optime/leader':
      return decodeOldOptime(key);
    default:
      return null;
  }
}

function decoded(key: RawKey, part: KeyPart, problems: readonly string[]): DecodedKey {
  const told = problems.slice(0, KEY_PROBLEMS_MAX).map((problem) => `${key.suffix}: ${problem}`);
  const rest = problems.length - told.length;
  return { part, problems: rest > 0 ? [...told, `${key.suffix}: and ${rest} more problems`] : told };
}

function decodeLeader(key: RawKey): DecodedKey {
  if (key.value === '') {
    return decoded(key, { kind: 'leader', leader: null }, ['empty']);
  }
  const leader = Object.freeze({ name: nodeName(key.value), term: key.createRevision });
  return decoded(key, { kind: 'leader', leader }, []);
}

function decodeSettings(key: RawKey): DecodedKey {
  const parsed = parseJsonObject(key.value);
  if (!parsed.ok) {
    return decoded(key, { kind: 'settings', settings: DEFAULT_SETTINGS }, [parsed.why]);
  }
  const config = parsed.value;
  const problems: string[] = [];
  const standbyCluster = isStandbyCluster(config['standby_cluster']);
  const synchronousMode = synchronousModeOf(config, problems);
  const settings: ClusterSettingsClaim = Object.freeze({
    ttlS: secondsOf(config, 'ttl', DEFAULT_SETTINGS.ttlS, problems),
    loopWaitS: secondsOf(config, 'loop_wait', DEFAULT_SETTINGS.loopWaitS, problems),
    retryTimeoutS: secondsOf(config, 'retry_timeout', DEFAULT_SETTINGS.retryTimeoutS, problems),
    paused: flagOf(config, 'pause', problems),
    // Patroni ignores synchronous_mode in a standby cluster.
    synchronousMode: standbyCluster ? false : synchronousMode,
    failsafeMode: flagOf(config, 'failsafe_mode', problems),
    standbyCluster,
  });
  return decoded(key, { kind: 'settings', settings }, problems);
}

function secondsOf(config: JsonObject, field: string, fallback: number, problems: string[]): number {
  const value = config[field];
  if (value === undefined || value === null) {
    return fallback;
  }
  const seconds = readNumber(typeof value === 'number' ? Math.round(value) : value, 1, SECONDS_MAX);
  if (seconds === null) {
    problems.push(`${field}: not a number of seconds`);
  }
  return seconds ?? fallback;
}

function flagOf(config: JsonObject, field: string, problems: string[]): boolean {
  const value = config[field];
  if (value === undefined || value === null) {
    return false;
  }
  const flag = readBoolean(value);
  if (flag === null) {
    problems.push(`${field}: neither true nor false`);
  }
  return flag ?? false;
}

function synchronousModeOf(config: JsonObject, problems: string[]): boolean | 'quorum' {
  const value = config['synchronous_mode'];
  return typeof value === 'string' && value.toLowerCase() === 'quorum'
    ? 'quorum'
    : flagOf(config, 'synchronous_mode', problems);
}

/** Patroni takes the section for real only if it says where from. */
function isStandbyCluster(section: unknown): boolean {
  return isJsonObject(section) && ['host', 'port', 'restore_command'].some((field) => isTruthy(section[field]));
}

function decodeSwitchover(key: RawKey): DecodedKey {
  const parsed = parseJson(key.value);
  if (!parsed.ok && /^\s*[[{"]/.test(key.value)) {
    return decoded(key, { kind: 'switchover', switchover: null }, [parsed.why]);
  }
  if (!parsed.ok) {
    // The form of old versions: leader:candidate, either may be missing.
    const [leader = '', candidate = ''] = key.value.split(':').map((name) => name.trim());
    return decoded(key, switchoverPart(key, leader, candidate, null), []);
  }
  if (!isJsonObject(parsed.value)) {
    return decoded(key, { kind: 'switchover', switchover: null }, ['not a JSON object']);
  }
  const problems: string[] = [];
  const leader = nameOf(parsed.value, 'leader', problems);
  const candidate = nameOf(parsed.value, 'member', problems);
  const scheduledAt = parsed.value['scheduled_at'];
  if (!isTruthy(scheduledAt)) {
    return decoded(key, switchoverPart(key, leader, candidate, null), problems);
  }
  const scheduledAtEpochMs = readTimestamp(scheduledAt);
  if (scheduledAtEpochMs === null) {
    // "Some day" must not be taken for "now", which would hold clients for nothing.
    problems.push('scheduled_at: not a time with a zone');
    return decoded(key, { kind: 'switchover', switchover: null }, problems);
  }
  return decoded(key, switchoverPart(key, leader, candidate, scheduledAtEpochMs), problems);
}

function switchoverPart(key: RawKey, leader: string, candidate: string, scheduledAtEpochMs: number | null): KeyPart {
  if (leader === '' && candidate === '') {
    return { kind: 'switchover', switchover: null };
  }
  const switchover: SwitchoverClaim = Object.freeze({
    leader: leader === '' ? null : nodeName(leader),
    candidate: candidate === '' ? null : nodeName(candidate),
    scheduledAtEpochMs,
    revision: key.modRevision,
  });
  return { kind: 'switchover', switchover };
}

/** A member's name, or an empty text when there is none. */
function nameOf(fields: JsonObject, field: string, problems: string[]): string {
  const value = fields[field];
  if (value === undefined || value === null || typeof value === 'string') {
    return value ?? '';
  }
  problems.push(`${field}: not a name`);
  return '';
}

function decodeSync(key: RawKey): DecodedKey {
  const problems: string[] = [];
  const parsed = parseJsonObject(key.value);
  if (!parsed.ok) {
    problems.push(parsed.why);
  }
  const fields = parsed.ok ? parsed.value : {};
  const leader = nameOf(fields, 'leader', problems);
  const standbys = nameOf(fields, 'sync_standby', problems)
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const quorum = readNumber(fields['quorum'] ?? 0, 0, SECONDS_MAX);
  if (quorum === null) {
    problems.push('quorum: not a number');
  }
  // Without a leader the rest means nothing (Patroni reads it the same way).
  const sync: SyncClaim =
    leader === ''
      ? { leader: null, standbys: [], quorum: 0 }
      : { leader: nodeName(leader), standbys: standbys.map(nodeName), quorum: quorum ?? 0 };
  return decoded(key, { kind: 'sync', sync }, problems);
}

function decodeHistory(key: RawKey): DecodedKey {
  const parsed = parseJson(key.value);
  if (!parsed.ok || !Array.isArray(parsed.value)) {
    return decoded(key, { kind: 'history', history: [] }, [parsed.ok ? 'not a JSON list' : parsed.why]);
  }
  const lines: readonly unknown[] = parsed.value;
  const history: HistoryEntry[] = [];
  const problems: string[] = [];
  for (const [index, line] of lines.entries()) {
    const entry = historyEntry(line);
    if (entry === null) {
      problems.push(`line ${index + 1}: not [timeline, position, reason, time, leader]`);
    } else {
      history.push(entry);
    }
  }
  return decoded(key, { kind: 'history', history: Object.freeze(history) }, problems);
}

/** Time and new leader are missing in lines of old versions, and in those that a restored cluster brought along. */
function historyEntry(line: unknown): HistoryEntry | null {
  const fields: readonly unknown[] = Array.isArray(line) ? line : [];
  const timeline = readNumber(fields[0], 1, TIMELINE_MAX);
  const lsn = readLsn(fields[1]);
  if (timeline === null || lsn === null) {
    return null;
  }
  const reason = fields[2];
  const newLeader = fields[4];
  return Object.freeze({
    timeline,
    lsn,
    reason: typeof reason === 'string' ? reason : '',
    atEpochMs: readTimestamp(fields[3]),
    newLeader: typeof newLeader === 'string' && newLeader !== '' ? nodeName(newLeader) : null,
  });
}

function decodeInitialize(key: RawKey): DecodedKey {
  // Empty while the cluster bootstraps: the key is then only a lock.
  if (key.value === '' || /^\d{1,20}$/.test(key.value)) {
    return decoded(key, { kind: 'initialize', systemIdentifier: key.value === '' ? null : key.value }, []);
  }
  return decoded(key, { kind: 'initialize', systemIdentifier: null }, ['not a system identifier']);
}

function decodeStatus(key: RawKey): DecodedKey {
  const parsed = parseJson(key.value);
  const value = parsed.ok && isJsonObject(parsed.value) ? parsed.value['optime'] : parsed.ok ? parsed.value : undefined;
  const optime = readLsn(value);
  const problems = optime === null ? [parsed.ok ? 'optime: not a WAL position' : parsed.why] : [];
  return decoded(key, { kind: 'status', optime }, problems);
}

function decodeOldOptime(key: RawKey): DecodedKey {
  const optime = readLsn(key.value);
  return decoded(key, { kind: 'old-optime', optime }, optime === null ? ['not a WAL position'] : []);
}
