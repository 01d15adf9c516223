import { BlockList, SocketAddress, isIP } from 'node:net';
import type { AddressRange } from '../config/address.js';
import type { AuthMethod } from '../config/auth-schema.js';

/** One rule of `auth.rules`; null stands for every address, database or user. */
export interface AuthRule {
  readonly addresses: readonly AddressRange[] | null;
  readonly databases: readonly string[] | null;
  readonly users: readonly string[] | null;
  readonly method: AuthMethod;
}

/** What the rules look at. */
export interface LoginSubject {
  /** Address of the client; IPv4, IPv6, or anything else for one without an IP address, whom only rules for every address match. */
  readonly address: string;
  readonly database: string;
  readonly user: string;
}

export interface RuleMatch {
  readonly method: AuthMethod;
  /** The rule that decided, counted from 1; null: none matched, it is the default method. */
  readonly ruleNumber: number | null;
}

interface CompiledRule {
  readonly addresses: AddressSet | null;
  readonly databases: ReadonlySet<string> | null;
  readonly users: ReadonlySet<string> | null;
  readonly method: AuthMethod;
}

/** How a client has to log in: the first rule that matches decides, as in pg_hba.conf. */
export class AuthRules {
  readonly #rules: readonly CompiledRule[];
  readonly #defaultMethod: AuthMethod;

  /** @throws an Error with the number of the rule for a range that is none; those of a read configuration are right */
  constructor(rules: readonly AuthRule[], defaultMethod: AuthMethod) {
    this.#rules = rules.map((rule, index) => compile(rule, index + 1));
    this.#defaultMethod = defaultMethod;
  }

  match(subject: LoginSubject): RuleMatch {
    const address = readAddress(subject.address);
    const index = this.#rules.findIndex(
      (rule) =>
        (rule.addresses === null || (address !== null && rule.addresses.has(address))) &&
        (rule.databases === null || rule.databases.has(subject.database)) &&
        (rule.users === null || rule.users.has(subject.user)),
    );
    const rule = this.#rules[index];
    return rule === undefined
      ? { method: this.#defaultMethod, ruleNumber: null }
      : { method: rule.method, ruleNumber: index + 1 };
  }
}

function compile(rule: AuthRule, ruleNumber: number): CompiledRule {
  return {
    addresses: rule.addresses === null ? null : new AddressSet(rule.addresses, ruleNumber),
    databases: rule.databases === null ? null : new Set(rule.databases),
    users: rule.users === null ? null : new Set(rule.users),
    method: rule.method,
  };
}

interface ClientAddress {
  readonly text: string;
  readonly family: 'ipv4' | 'ipv6';
}

/** IPv4 addresses in IPv6 notation, `::ffff:10.0.0.1`: how a listener on `::` sees the clients that come by IPv4. */
const MAPPED_PATTERN = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/;
const MAPPED_PREFIX_BITS = 96;

/**
 * Networks. There is one list for each family, because a BlockList takes an IPv4 address for an IPv6 one, so that `::/0` would also
 * match all IPv4 clients, which it does not in pg_hba.conf.
 */
class AddressSet {
  readonly #ipv4: BlockList;
  readonly #ipv6: BlockList;

  constructor(ranges: readonly AddressRange[], ruleNumber: number) {
    this.#ipv4 = new BlockList();
    this.#ipv6 = new BlockList();
    for (const range of ranges) {
      try {
        this.#add(range);
      } catch (error) {
        const text = `${range.address}/${range.prefix}`;
        throw new Error(`authentication rule ${ruleNumber}: "${text}" is not an address range`, { cause: error });
      }
    }
  }

  has(address: ClientAddress): boolean {
    return address.family === 'ipv4' ? this.#ipv4.check(address.text, 'ipv4') : this.#ipv6.check(address.text, 'ipv6');
  }

  #add(range: AddressRange): void {
    const address = readAddress(range.address);
    if (address === null) {
      throw new TypeError('not an IP address');
    }
    if (range.family === 'ipv4') {
      this.#ipv4.addSubnet(range.address, range.prefix, 'ipv4');
    } else if (address.family === 'ipv4' && range.prefix >= MAPPED_PREFIX_BITS) {
      this.#ipv4.addSubnet(address.text, range.prefix - MAPPED_PREFIX_BITS, 'ipv4');
    } else {
      this.#ipv6.addSubnet(range.address, range.prefix, 'ipv6');
    }
  }
}

function readAddress(text: string): ClientAddress | null {
  const zoneAt = text.indexOf('%');
  const address = zoneAt === -1 ? text : text.slice(0, zoneAt);
  switch (isIP(address)) {
    case 4:
      return { text: address, family: 'ipv4' };
    case 6: {
      const canonical = new SocketAddress({ address, family: 'ipv6' }).address;
      const mapped = MAPPED_PATTERN.exec(canonical)?.[1];
      return mapped === undefined ? { text: canonical, family: 'ipv6' } : { text: mapped, family: 'ipv4' };
    }
    default:
      return null;
  }
}
