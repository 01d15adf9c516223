import { formatSize, parseSize } from '../../util/units.js';
import { parseListenAddress } from '../../config/address.js';
import { asValue, joinEndpoint, readEndpoint } from './addresses.js';
import { Rank } from './draft.js';
import type { DraftLine } from './draft.js';
import { Verdict, formatPlace } from './finding.js';
import type { Finding, Place } from './finding.js';
import type { Bind, Proxy } from './haproxy-proxies.js';
import { roleOfCheck, roleOfName } from './patroni-check.js';
import type { CheckedRole } from './patroni-check.js';
import type { Work } from './work.js';

/** A listener of the new file. */
export interface PlannedListener {
  readonly name: string;
  /** As our configuration writes it. */
  readonly address: string;
  readonly port: string;
  readonly addressFrom: string;
  readonly role: CheckedRole;
  readonly routeFrom: string;
  readonly backlog: DraftLine | null;
  /** PgBouncer is behind it, or was there itself. */
  readonly isPooled: boolean;
}

/** What HAProxy's proxies have become. */
export interface HaproxyListeners {
  readonly listeners: readonly PlannedListener[];
  /** The proxies that have become listeners, and the backends behind them. */
  readonly used: readonly Proxy[];
}

/** Ports that PostgreSQL and poolers are usually found at. */
const POSTGRES_PORTS: ReadonlySet<string> = new Set(['5432', '5433', '6432', '6543']);

/**
 * Finds out which proxies serve PostgreSQL and whom they lead to, and tells of those that do not become listeners.
 * @param poolerPort where PgBouncer listens; null without it
 */
export function planHaproxyListeners(
  proxies: readonly Proxy[],
  poolerPort: number | null,
  work: Work,
): HaproxyListeners {
  const listeners: PlannedListener[] = [];
  const used = new Set<Proxy>();
  const hasFrontend = new Set(proxies.map((proxy) => proxy.defaultBackend));
  for (const proxy of proxies) {
    const { name, place, kind } = proxy;
    const passOver = (advice: string): void =>
      work.tell({ verdict: Verdict.None, place, subject: `${kind} ${name}`, advice: `${advice}; it is passed over` });
    if (kind === 'backend') {
      if (!hasFrontend.has(name)) passOver('no frontend leads to it by default_backend');
      continue;
    }
    const behind = proxies.find((each) => each.kind !== 'frontend' && each.name === proxy.defaultBackend) ?? proxy;
    if (proxy.mode === 'http' && (proxy.showsStats || behind.servers.length === 0)) {
      planStats(proxy, work);
      continue;
    }
    if (proxy.mode !== 'tcp') {
      passOver(`its mode is ${proxy.mode}, and only PostgreSQL is served here`);
      continue;
    }
    const role = roleOf(proxy, behind);
    if (role === null) {
      passOver('nothing says that PostgreSQL is behind it (no check of Patroni, no port of PostgreSQL)');
      continue;
    }
    for (const finding of role.findings) work.tell(finding);
    const isPooled = behind.servers.some(({ address }) => address.endsWith(`:${poolerPort ?? ''}`));
    const own = proxy.binds.flatMap((bind) => plan(bind, { proxy, role, isPooled }, listeners, work));
    if (own.length === 0) {
      passOver('it has no address that can be listened on');
      continue;
    }
    listeners.push(...own);
    used.add(proxy).add(behind);
    limitLag(role, work);
  }
  return { listeners, used: [...used] };
}

interface Role {
  readonly checked: CheckedRole;
  readonly from: string;
  readonly place: Place;
  readonly findings: readonly Finding[];
}

function roleOf(proxy: Proxy, behind: Proxy): Role | null {
  const { check, servers } = behind;
  const place = check.kind === 'none' ? proxy.place : check.place;
  const checked = check.kind === 'http' ? roleOfCheck(check.path) : null;
  const subject = `${proxy.kind} ${proxy.name}`;
  if (checked !== null && check.kind === 'http') {
    const findings: Finding[] = checked.ignored.map((name) => ({
      verdict: Verdict.None,
      place,
      subject: 'option httpchk',
      advice: `the parameter ${name} has no counterpart`,
    }));
    if (checked.includesPrimary && checked.route === 'standby') {
      const advice = 'the primary took its share of these sessions; here it takes them only while no standby may';
      findings.push({ verdict: Verdict.Differs, place, subject, advice });
    }
    return { checked, from: `${formatPlace(place)} ${check.path}`, place, findings };
  }
  const isPostgres = check.kind === 'other' && check.what === 'option pgsql-check';
  const named = roleOfName(proxy.name) ?? roleOfName(behind.name);
  const port = servers.map(({ address }) => /:(\d+)$/.exec(address)?.[1]).find((each) => each !== undefined) ?? '';
  if (!isPostgres && !POSTGRES_PORTS.has(port)) return null;
  const what = check.kind === 'none' ? 'no check' : check.kind === 'http' ? `the check ${check.path}` : check.what;
  const route = named ?? 'primary';
  const advice = `${what} does not tell a primary from a standby; route: ${route} is ${named === null ? 'written for want of a sign' : 'a guess from its name'}`;
  return {
    checked: { route, prefer: null, includesPrimary: false, tags: new Map(), maxLag: null, ignored: [] },
    from: `${formatPlace(place)} ${subject}`,
    place,
    findings: [{ verdict: Verdict.Differs, place, subject, advice }],
  };
}

function plan(
  bind: Bind,
  { proxy, role, isPooled }: { readonly proxy: Proxy; readonly role: Role; readonly isPooled: boolean },
  earlier: readonly PlannedListener[],
  work: Work,
): readonly PlannedListener[] {
  const address = listenAddressOf(bind, work);
  if (address === null) return [];
  const backlog = proxy.settings.get('backlog');
  const size = Number(backlog?.value);
  return [
    {
      name: freeName(proxy.name === '' ? 'haproxy' : proxy.name, earlier, proxy.binds.indexOf(bind)),
      ...address,
      addressFrom: `${formatPlace(bind.place)} bind`,
      role: role.checked,
      routeFrom: role.from,
      isPooled,
      backlog:
        backlog === undefined || !(size >= 1 && size <= 65_535)
          ? null
          : { key: 'backlog', value: Math.trunc(size), from: `${formatPlace(backlog.place)} backlog`, notes: [] },
    },
  ];
}

function freeName(name: string, earlier: readonly PlannedListener[], index: number): string {
  const wanted = index > 0 ? `${name}-${index + 1}` : name;
  return earlier.some((each) => each.name === wanted) ? `${wanted}-${earlier.length + 1}` : wanted;
}

function listenAddressOf(bind: Bind, work: Work): { readonly address: string; readonly port: string } | null {
  const broken = (problem: string): null => {
    const advice = `its address ${problem}; it is passed over`;
    work.tell({ verdict: Verdict.Broken, place: bind.place, subject: 'bind', advice });
    return null;
  };
  const endpoint = readEndpoint(bind.address);
  if (!endpoint.ok) return broken(endpoint.problem);
  const { host, port } = endpoint.value;
  if (port === null) return broken('has no port');
  // Without a host HAProxy listens on every address of IPv4.
  const address = joinEndpoint(host ?? (bind.address.startsWith('ipv6@') ? '::' : '0.0.0.0'), port);
  const isRead = typeof asValue(address) !== 'string' || parseListenAddress(address).ok;
  return isRead ? { address, port } : broken('is none that can be listened on');
}

/** The page of statistics is what the admin address is here. */
function planStats(proxy: Proxy, work: Work): void {
  const [bind] = proxy.binds;
  const address = bind === undefined ? null : listenAddressOf(bind, work);
  if (bind === undefined || address === null) return;
  const { guardsStats } = proxy;
  const written = guardsStats ? `127.0.0.1:${address.port}` : address.address;
  const from = `${formatPlace(bind.place)} ${proxy.kind} ${proxy.name}`;
  const before = work.draft.get('admin.address');
  if (before !== null) return;
  work.draft.set(['admin.address'], asValue(written), from, { rank: Rank.Haproxy });
  const advice = guardsStats
    ? 'its page asked for a password; the admin address asks for none, so that it is only opened to this machine'
    : '"/metrics" and "/api/v1/status" are there without a log-in, as its page was; what changes something needs admin.token from elsewhere';
  work.tell({ verdict: Verdict.Differs, place: bind.place, subject: `${proxy.kind} ${proxy.name}`, advice });
}

/** Lag has one limit here, for all listeners. */
function limitLag({ checked, place, from }: Role, { draft, tell }: Work): void {
  if (checked.maxLag === null) return;
  const before = draft.get('routing.max_lag_bytes');
  const sizes = [before?.value, checked.maxLag].flatMap((text) => {
    const parsed = typeof text === 'string' ? parseSize(text) : null;
    return parsed?.ok === true ? [parsed.value] : [];
  });
  draft.set(
    ['routing.max_lag_bytes'],
    formatSize(Math.min(...sizes)),
    sizes.length > 1 && before !== null && sizes[0] === Math.min(...sizes) ? before.from : from,
    {
      rank: Rank.Haproxy,
      notes: ['Besides, a standby that is further behind in time than routing.max_lag (10s) gets no new work.'],
    },
  );
  if (sizes.length > 1 && sizes[0] !== sizes[1]) {
    const advice = 'lag has one limit for all listeners: the smaller one is written';
    tell({ verdict: Verdict.Differs, place, subject: 'option httpchk', advice });
  }
}
