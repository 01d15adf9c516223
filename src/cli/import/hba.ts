import { isIP } from 'node:net';
import { parseAddressRange } from '../../config/address.js';
import { wrong } from '../../config/reading.js';
import type { Reading } from '../../config/reading.js';

/** A line of an HBA file as a rule of ours; null stands for all. */
export interface HbaRule {
  readonly line: number;
  readonly databases: readonly string[] | null;
  readonly users: readonly string[] | null;
  readonly address: string | null;
  readonly method: string;
  /** The method that was written, where ours refuses in its place. */
  readonly instead: string | null;
}

/** A line that becomes no rule. */
export interface HbaRemark {
  readonly line: number;
  /** The line never applies here, so that nothing is lost. */
  readonly isHarmless: boolean;
  readonly message: string;
}

const METHODS: ReadonlySet<string> = new Set(['trust', 'reject', 'md5', 'password', 'scram-sha-256']);
/** Log-ins that nobody can have here: whom they are about is refused. */
const UNAVAILABLE: ReadonlySet<string> = new Set(['cert', 'peer', 'ldap', 'pam', 'gss', 'sspi', 'ident', 'radius']);

interface Token {
  readonly text: string;
  readonly isQuoted: boolean;
}

/** Reads an HBA file by PgBouncer's rules (its documentation, "HBA file format"). */
export function readHba(text: string): { readonly rules: readonly HbaRule[]; readonly remarks: readonly HbaRemark[] } {
  const rules: HbaRule[] = [];
  const remarks: HbaRemark[] = [];
  for (const [index, content] of text.split(/\r?\n/).entries()) {
    const line = index + 1;
    const fields = fieldsOf(content);
    const [type] = fields[0] ?? [];
    if (type === undefined) continue;
    if (type.text === 'local' || type.text === 'hostssl') {
      const what = type.text === 'local' ? 'there are no Unix sockets' : 'there is no TLS in this version';
      remarks.push({ line, isHarmless: true, message: `a line about ${type.text} never applies: ${what}` });
      continue;
    }
    const rule =
      type.text === 'host' || type.text === 'hostnossl' ? ruleOf(fields, line) : wrong('is of no known type');
    if (rule.ok) rules.push(rule.value);
    else remarks.push({ line, isHarmless: false, message: `the line ${rule.problem}; write its rule by hand` });
  }
  return { rules, remarks };
}

/** The fields of a line, each a list of what stands between its commas. */
function fieldsOf(content: string): readonly (readonly Token[])[] {
  const fields: Token[][] = [];
  let goesOn = false;
  for (const [written] of content.matchAll(/#.*|,|"(?:[^"]|"")*"|[^\s,#"]+/g)) {
    if (written.startsWith('#')) break;
    if (written === ',') {
      goesOn = true;
      continue;
    }
    const isQuoted = written.startsWith('"');
    const token = { text: isQuoted ? written.slice(1, -1).replaceAll('""', '"') : written, isQuoted };
    if (goesOn) fields.at(-1)?.push(token);
    else fields.push([token]);
    goesOn = false;
  }
  return fields;
}

function ruleOf(fields: readonly (readonly Token[])[], line: number): Reading<HbaRule> {
  const [, databaseField = [], userField = [], [addressField] = [], ...behind] = fields;
  const databases = namesOf(databaseField, ['sameuser', 'samerole', 'samegroup', 'replication']);
  if (!databases.ok) return databases;
  const users = namesOf(userField, []);
  if (!users.ok) return users;
  if (addressField === undefined) return wrong('has no address');
  const rest = behind.map(([first]) => first?.text ?? '');
  let address: string | null = null;
  if (addressField.text !== 'all') {
    const hasMask = !addressField.text.includes('/') && isIP(rest[0] ?? '') !== 0;
    const range = hasMask ? withMask(addressField.text, rest.shift() ?? '') : addressField.text;
    if (range === null || !parseAddressRange(range).ok) return wrong('has an address that is no range');
    address = range;
  }
  const [method = '', ...options] = rest;
  if (UNAVAILABLE.has(method)) {
    return {
      ok: true,
      value: { line, databases: databases.value, users: users.value, address, method: 'reject', instead: method },
    };
  }
  if (!METHODS.has(method)) return wrong('has no method that is known');
  if (options.length > 0) return wrong('has options behind its method');
  return { ok: true, value: { line, databases: databases.value, users: users.value, address, method, instead: null } };
}

function namesOf(field: readonly Token[], special: readonly string[]): Reading<readonly string[] | null> {
  if (field.length === 0) return wrong('is too short');
  const bare = field.filter(({ isQuoted }) => !isQuoted).map(({ text }) => text);
  if (bare.includes('all')) return { ok: true, value: null };
  const strange = bare.find((name) => special.includes(name) || /^[@+]/.test(name));
  if (strange !== undefined) return wrong('names databases or users by something other than their names');
  const names = field.map(({ text }) => text);
  // "all" in quotes is a name, which a rule of ours cannot say.
  return names.includes('all') || names.includes('')
    ? wrong('names a database or user called all, or nothing')
    : { ok: true, value: names };
}

/** `10.0.0.0 255.0.0.0` as `10.0.0.0/8`; null for masks with holes, and those of IPv6. */
function withMask(address: string, mask: string): string | null {
  if (isIP(address) !== 4 || isIP(mask) !== 4) return null;
  const bits = mask
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('');
  return /^1*0*$/.test(bits) ? `${address}/${bits.indexOf('0') === -1 ? 32 : bits.indexOf('0')}` : null;
}
