import type { Place } from './finding.js';
import type { Directive, Section } from './haproxy.js';

/** How a proxy finds out which of its servers may be used. */
export type Check =
  | { readonly kind: 'none' }
  /** Asks for an HTTP path, which is how Patroni tells a primary from a standby. */
  | { readonly kind: 'http'; readonly path: string; readonly place: Place }
  | { readonly kind: 'other'; readonly what: string; readonly place: Place };

/** An address that a proxy listens on, as written. */
export interface Bind {
  readonly address: string;
  readonly options: readonly string[];
  readonly place: Place;
}

export interface Server {
  readonly name: string;
  readonly address: string;
  /** With those of default-server; a word that has no value of its own has an empty one. */
  readonly options: ReadonlyMap<string, string>;
  readonly place: Place;
}

/** A frontend, a backend, or a listen, which is both; what defaults sections say is in it. */
export interface Proxy {
  readonly kind: string;
  readonly name: string;
  readonly place: Place;
  readonly binds: readonly Bind[];
  readonly servers: readonly Server[];
  readonly mode: string;
  readonly check: Check;
  readonly defaultBackend: string | null;
  /** `timeout client`, `timeout connect`, `maxconn`... with their value; those of defaults sections too. */
  readonly settings: ReadonlyMap<string, { readonly value: string; readonly place: Place }>;
  readonly showsStats: boolean;
  /** Its page of statistics asks for a password. */
  readonly guardsStats: boolean;
}

/** What a defaults section hands down. */
interface Inherited {
  readonly mode: string;
  readonly check: Check;
  readonly serverOptions: ReadonlyMap<string, string>;
  readonly defaultBackend: string | null;
  readonly settings: Proxy['settings'];
  readonly showsStats: boolean;
  readonly guardsStats: boolean;
}

/** HAProxy's own default is tcp. */
const NOTHING: Inherited = {
  mode: 'tcp',
  check: { kind: 'none' },
  serverOptions: new Map(),
  defaultBackend: null,
  settings: new Map(),
  showsStats: false,
  guardsStats: false,
};

/** Options of a server line that have no value of their own (HAProxy's configuration manual, 5.2). */
const BARE_OPTIONS: ReadonlySet<string> = new Set([
  ...['allow-0rtt', 'agent-check', 'backup', 'check', 'check-send-proxy', 'check-ssl', 'check-via-socks4', 'disabled'],
  ...['enabled', 'force-sslv3', 'force-tlsv10', 'force-tlsv11', 'force-tlsv12', 'force-tlsv13', 'no-agent-check'],
  ...[
    'no-backup',
    'no-check',
    'no-check-ssl',
    'no-send-proxy',
    'no-send-proxy-v2',
    'no-ssl',
    'no-ssl-reuse',
    'no-verifyhost',
  ],
  ...[
    'no-tls-tickets',
    'no-tfo',
    'non-stick',
    'send-proxy',
    'send-proxy-v2',
    'send-proxy-v2-ssl',
    'send-proxy-v2-ssl-cn',
  ],
  ...['ssl', 'ssl-reuse', 'stick', 'tfo', 'tls-tickets'],
]);

/** The proxies of a file in their order. */
export function proxiesOf(sections: readonly Section[]): readonly Proxy[] {
  const proxies: Proxy[] = [];
  const named = new Map<string, Inherited>();
  let last: Inherited = NOTHING;
  for (const section of sections) {
    if (section.kind === 'defaults') {
      last = inheritedFrom(section, baseOf(section.rest, named, NOTHING));
      if (section.name !== '') named.set(section.name, last);
    } else if (section.kind === 'frontend' || section.kind === 'backend' || section.kind === 'listen') {
      proxies.push(proxyOf(section, baseOf(section.rest, named, last)));
    }
  }
  return proxies;
}

/** `from NAME` behind the name of a section takes the defaults of that name instead of the last ones. */
function baseOf(rest: readonly string[], named: ReadonlyMap<string, Inherited>, otherwise: Inherited): Inherited {
  const at = rest.indexOf('from');
  return (at === -1 ? undefined : named.get(rest[at + 1] ?? '')) ?? otherwise;
}

function inheritedFrom(section: Section, base: Inherited): Inherited {
  const { mode, check, defaultBackend, settings, showsStats, guardsStats } = proxyOf(section, base);
  let { serverOptions } = base;
  for (const { words } of section.directives) {
    if (words[0] === 'default-server') serverOptions = new Map([...serverOptions, ...optionsOf(words.slice(1))]);
  }
  return { mode, check, serverOptions, defaultBackend, settings, showsStats, guardsStats };
}

function proxyOf(section: Section, base: Inherited): Proxy {
  const binds: Bind[] = [];
  const servers: Server[] = [];
  const settings = new Map(base.settings);
  let { mode, check, serverOptions, defaultBackend, showsStats, guardsStats } = base;
  // `listen NAME ADDRESS`, as it was written before HAProxy 1.5.
  const [inline] = section.rest;
  if (inline !== undefined && inline !== 'from') binds.push(...bindsOf([inline], [], section.place));
  for (const directive of section.directives) {
    const { words, place } = directive;
    const [first, second = '', third = ''] = words;
    if (first === 'bind') binds.push(...bindsOf(second.split(','), words.slice(2), place));
    else if (first === 'server') {
      servers.push({
        name: second,
        address: third,
        options: new Map([...serverOptions, ...optionsOf(words.slice(3))]),
        place,
      });
    } else if (first === 'default-server') serverOptions = new Map([...serverOptions, ...optionsOf(words.slice(1))]);
    else if (first === 'mode') mode = second;
    else if (first === 'default_backend') defaultBackend = second;
    else if (first === 'maxconn' || first === 'backlog') settings.set(first, { value: second, place });
    else if (first === 'timeout') settings.set(`timeout ${second}`, { value: third, place });
    else if (first === 'stats') {
      showsStats = true;
      guardsStats ||= second === 'auth' || second === 'http-request';
    } else check = checkOf(directive, check);
  }
  return {
    kind: section.kind,
    name: section.name,
    place: section.place,
    ...{ binds, servers, mode, check, defaultBackend, settings, showsStats, guardsStats },
  };
}

function bindsOf(addresses: readonly string[], options: readonly string[], place: Place): readonly Bind[] {
  return addresses.filter((address) => address !== '').map((address) => ({ address, options, place }));
}

function optionsOf(words: readonly string[]): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  for (let at = 0; at < words.length; at += 1) {
    const name = words[at] ?? '';
    if (BARE_OPTIONS.has(name)) {
      options.set(name, '');
    } else {
      options.set(name, words[at + 1] ?? '');
      at += 1;
    }
  }
  return options;
}

/** `option httpchk` with a path, and what `http-check send` makes of it; a check of another kind takes its place. */
function checkOf({ words, place }: Directive, before: Check): Check {
  const [first, second = '', ...rest] = words;
  if (first === 'http-check' && second === 'send' && before.kind === 'http') {
    const uri = rest[rest.indexOf('uri') + 1];
    return rest.includes('uri') && uri !== undefined ? { kind: 'http', path: uri, place } : before;
  }
  if (first !== 'option') return before;
  if (second === 'httpchk') {
    // One word is the path, of several it is the second.
    return { kind: 'http', path: (rest.length === 1 ? rest[0] : rest[1]) ?? '/', place };
  }
  const isCheck = second.endsWith('-check') && second !== 'log-health-check';
  return isCheck ? { kind: 'other', what: `option ${second}`, place } : before;
}
