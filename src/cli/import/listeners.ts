import { addressesCollide, parseListenAddress } from '../../config/address.js';
import { asValue, joinEndpoint } from './addresses.js';
import type { targetsOf } from './clusters.js';
import { count } from './converters.js';
import type { DraftLine } from './draft.js';
import { Verdict, formatPlace } from './finding.js';
import type { PlannedListener } from './haproxy-listeners.js';
import type { Pgbouncer, Setting } from './pgbouncer.js';
import type { CheckedRole } from './patroni-check.js';
import type { Work } from './work.js';

const PRIMARY: CheckedRole = {
  route: 'primary',
  prefer: null,
  includesPrimary: false,
  tags: new Map(),
  maxLag: null,
  ignored: [],
};
const PORT_DEFAULT = 6432;

/** Where PgBouncer listens, with the route of what its databases lead to. */
export function planPgbouncerListeners(
  pgbouncer: Pgbouncer,
  targets: ReturnType<typeof targetsOf>,
  earlier: readonly PlannedListener[],
  work: Work,
): readonly PlannedListener[] {
  const { settings } = pgbouncer;
  const portSetting = settings.get('listen_port');
  const port = portOf(portSetting, pgbouncer, work);
  const backlog = backlogOf(settings.get('listen_backlog'), work);
  const routed = routeOf(pgbouncer, targets, work);
  const planned: PlannedListener[] = [];
  for (const { address, from } of addressesOf(pgbouncer, port, work)) {
    const read = parseListenAddress(address);
    if (!read.ok) {
      const advice = 'is not an address that can be listened on; it is passed over';
      const place = settings.get('listen_addr')?.place ?? null;
      work.tell({ verdict: Verdict.Broken, place, subject: 'listen_addr', advice });
      continue;
    }
    const taken = [...earlier, ...planned].find((each) => {
      const other = parseListenAddress(each.address);
      return other.ok && addressesCollide(other.value, read.value);
    });
    if (taken !== undefined) {
      const advice = `${address} is already taken by the listener ${taken.name}, whose route counts`;
      const place = portSetting?.place ?? settings.get('listen_addr')?.place ?? null;
      work.tell({ verdict: Verdict.Differs, place, subject: 'listen_port', advice });
      continue;
    }
    const name = planned.length === 0 ? 'pgbouncer' : `pgbouncer-${planned.length + 1}`;
    planned.push({ name, address, port, addressFrom: from, ...routed, backlog, isPooled: true });
  }
  return planned;
}

/** Where PgBouncer listens; its default where it says nothing that is a port. */
export function poolerPortOf({ settings }: Pgbouncer): number {
  const read = count(settings.get('listen_port')?.value ?? '');
  return read.ok && read.value >= 1 && read.value <= 65_535 ? read.value : PORT_DEFAULT;
}

function portOf(setting: Setting | undefined, pgbouncer: Pgbouncer, { tell }: Work): string {
  const port = poolerPortOf(pgbouncer);
  const read = count(setting?.value ?? String(PORT_DEFAULT));
  if (setting !== undefined && (!read.ok || read.value !== port)) {
    const advice = `is no port; PgBouncer's default, ${PORT_DEFAULT}, is written`;
    tell({ verdict: Verdict.Broken, place: setting.place, subject: 'listen_port', advice });
  }
  return String(port);
}

function addressesOf(
  { settings }: Pgbouncer,
  port: string,
  { tell }: Work,
): readonly { readonly address: string; readonly from: string }[] {
  const setting = settings.get('listen_addr');
  const portPlace = settings.get('listen_port')?.place;
  const hosts = (setting?.value ?? '')
    .split(',')
    .map((host) => host.trim())
    .filter((host) => host !== '');
  const portFrom = portPlace === undefined ? '' : `, ${formatPlace(portPlace)} listen_port`;
  if (setting === undefined || hosts.length === 0) {
    const advice = 'without it PgBouncer listens on a Unix socket alone; there is none here, so it is 127.0.0.1';
    tell({ verdict: Verdict.Differs, place: setting?.place ?? null, subject: 'listen_addr', advice });
    return [{ address: `127.0.0.1:${port}`, from: `listen_addr: not set${portFrom}` }];
  }
  const from = `${formatPlace(setting.place)} listen_addr${portFrom}`;
  return hosts.map((host) => ({ address: host === '*' ? `*:${port}` : joinEndpoint(host, port), from }));
}

function backlogOf(setting: Setting | undefined, { tell }: Work): DraftLine | null {
  if (setting === undefined) return null;
  const read = count(setting.value);
  if (read.ok && read.value >= 1 && read.value <= 65_535) {
    return { key: 'backlog', value: read.value, from: `${formatPlace(setting.place)} listen_backlog`, notes: [] };
  }
  const advice = 'its value is no number from 1 to 65535; it is passed over';
  tell({ verdict: Verdict.Broken, place: setting.place, subject: 'listen_backlog', advice });
  return null;
}

/** PgBouncer leads to where its databases do: to standbys only if all of them do. */
function routeOf(
  { path, databases }: Pgbouncer,
  targets: ReturnType<typeof targetsOf>,
  { tell }: Work,
): { readonly role: CheckedRole; readonly routeFrom: string } {
  const [first] = targets;
  const listener = first?.listener ?? null;
  if (
    first !== undefined &&
    listener !== null &&
    targets.every((each) => each.listener?.role.route === listener.role.route)
  ) {
    return { role: listener.role, routeFrom: `${formatPlace(first.entry.place)} leads to ${listener.name}` };
  }
  const place = databases[0]?.place ?? null;
  if (targets.every((each) => each.listener === null)) {
    const advice = 'the file does not say whether its servers are primaries: route: primary is written';
    tell({ verdict: Verdict.Differs, place, subject: '[databases]', advice });
  }
  return { role: PRIMARY, routeFrom: place === null ? `${path} [databases]` : `${formatPlace(place)} [databases]` };
}

/** Writes `listeners`; where there is none, one that has to be looked at. */
export function writeListeners(planned: readonly PlannedListener[], { draft, tell }: Work): void {
  const mode = draft.get('pool.mode');
  for (const { name, address, addressFrom, role, routeFrom, backlog, isPooled } of planned) {
    const line = (key: string, value: DraftLine['value'], from: string): DraftLine => ({ key, value, from, notes: [] });
    const lines = [
      line('name', name, addressFrom),
      line('address', asValue(address), addressFrom),
      line('route', role.route, routeFrom),
    ];
    if (role.route === 'standby') {
      lines.push(line('fallback', role.includesPrimary ? 'primary' : 'error', routeFrom));
      if (role.prefer !== null) lines.push(line('prefer', role.prefer, routeFrom));
      if (role.tags.size > 0) lines.push(line('tags', { tags: role.tags }, routeFrom));
    }
    if (!isPooled && mode?.value === 'transaction' && draft.knowsIn('listeners', 'pool_mode')) {
      lines.push(line('pool_mode', 'session', `${mode.from}: PgBouncer was not there`));
    }
    if (backlog !== null) lines.push(backlog);
    draft.add('listeners', lines);
  }
  if (planned.some(({ role }) => role.route === 'standby' && !role.includesPrimary)) {
    draft.note('listeners', [
      'fallback: primary would serve reads there while no standby is fresh enough, instead of refusing them.',
    ]);
  }
  draft.note('listeners', [
    'A listener with route: split sends reads to standbys and everything else to the primary, on one address: docs/routing.md.',
  ]);
  const past = planned.filter(({ isPooled }) => !isPooled).map(({ name }) => name);
  if (past.length > 0 && past.length < planned.length) {
    const advice = `sessions that came past PgBouncer (${past.join(', ')}) count too: it has to be large enough for them`;
    tell({ verdict: Verdict.Differs, place: null, subject: 'pool.size', advice });
  }
  if (planned.length > 0) return;
  const from = 'FILL IN: where clients come in';
  draft.add('listeners', [
    { key: 'name', value: 'primary', from, notes: [] },
    { key: 'address', value: '127.0.0.1:6432', from, notes: [] },
    { key: 'route', value: 'primary', from, notes: [] },
  ]);
  const advice = 'the files name no address to listen on: 127.0.0.1:6432 is written';
  tell({ verdict: Verdict.Fill, place: null, subject: 'listeners', advice });
}
