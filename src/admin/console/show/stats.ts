import type { TrafficCounts } from '../../../metrics/traffic.js';
import type { TrafficFigures } from '../../../metrics/traffic-periods.js';
import { columns } from '../facts.js';
import type { Table } from '../facts.js';

/** The order in which PgBouncer has them. */
const ORDER: readonly (keyof TrafficCounts)[] = [
  'assignments',
  'transactions',
  'queries',
  'bytesIn',
  'bytesOut',
  'transactionUs',
  'queryUs',
  'waitUs',
  'parses',
  'ownParses',
  'binds',
  'logins',
];

/** What PgBouncer calls them in TOTALS. */
const NAMES =
  'server_assignment_count xact_count query_count client_bytes server_bytes xact_time query_time wait_time ps_client_parse_count ps_server_parse_count ps_bind_count client_login_count';

function cellsOf(counts: TrafficCounts): number[] {
  return ORDER.map((key) => counts[key]);
}

function perDatabase(names: string, cells: (figures: TrafficFigures) => readonly number[]): Table {
  return {
    columns: columns(['text', 'database'], ['numeric', names]),
    *rows({ periods }) {
      for (const figures of periods.databases()) yield [figures.name, ...cells(figures)];
    },
  };
}

/** Prefixes every name. */
function all(prefix: string, names: string): string {
  return names.replaceAll(/\S+/g, (name) => prefix + name);
}

export const stats = perDatabase(
  [
    all(
      'total_',
      'server_assignment_count xact_count query_count received sent xact_time query_time wait_time client_parse_count server_parse_count bind_count client_login_count',
    ),
    all(
      'avg_',
      'server_assignment_count xact_count query_count recv sent xact_time query_time wait_time client_parse_count server_parse_count bind_count client_login_count',
    ),
  ].join(' '),
  ({ totals, averages }) => [...cellsOf(totals), ...cellsOf(averages)],
);

export const statsTotals = perDatabase(
  'server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time wait_time client_parse_count server_parse_count bind_count client_login_count',
  ({ totals }) => cellsOf(totals),
);

export const statsAverages = perDatabase(
  'server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time wait_time avg_client_parse_count avg_server_parse_count avg_bind_count avg_client_login_count',
  ({ averages }) => cellsOf(averages),
);

export const totals: Table = {
  columns: columns(['text', 'name'], ['numeric', 'value']),
  *rows({ periods }) {
    const figures = periods.all();
    const names = NAMES.split(' ');
    for (const [index, key] of ORDER.entries()) yield [`total_${names[index] ?? key}`, figures.totals[key]];
    for (const [index, key] of ORDER.entries()) yield [`avg_${names[index] ?? key}`, figures.averages[key]];
  },
};
