import { readFileSync } from 'node:fs';
import { Catalog } from '../../../../src/sql/catalog.js';
import type {
  CatalogSnapshot,
  FunctionRow,
  HiddenCall,
  PlacedName,
  ViewRow,
} from '../../../../src/sql/catalog-snapshot.js';
import type { StatementReader } from '../read-statements.js';

/** A snapshot of a database of PostgreSQL 15, for the functions that PostgreSQL has. */
const BUILT_IN = new URL('../../../../../test/fixtures/catalog/postgresql-15.json', import.meta.url);

const views: Readonly<Record<string, string>> = {
  hit_counts: 'select page, sum(n) as n from public.hits group by page',
  open_orders: `select * from public.orders where status = 'open'::text`,
  open_orders_by_country:
    'select c.country, count(*) from public.open_orders o join public.customers c on c.id = o.customer_id group by 1',
  numbered_orders: `select nextval('public.orders_id_seq'::regclass), * from public.orders where false`,
};

/** The catalogue of a database in which `corpusSchema` was run. */
export function corpusCatalog(reader: StatementReader): Catalog {
  // A file of ours, made by the program's own loader.
  const builtIn = JSON.parse(readFileSync(BUILT_IN, 'utf8')) as CatalogSnapshot;
  const snapshot: CatalogSnapshot = {
    ...builtIn,
    functions: [...builtIn.functions, ...functions],
    volatileAttributes: [...builtIn.volatileAttributes, ...inPublic('receipt')],
    volatileOperators: [...builtIn.volatileOperators, calling('===', 'same_and_log')],
    volatileTypes: [...builtIn.volatileTypes, calling('mood', 'to_mood'), calling('feeling', 'to_mood')],
    unloggedRelations: inPublic('hits events events_2026'),
    nodeBoundRelations: inPublic('customers_id_seq orders_id_seq invoice_numbers far_away'),
    views: Object.entries(views).map(([name, sql]): ViewRow => {
      const [statement] = reader.analyze(sql).statements;
      if (statement === undefined) throw new Error(`${name} has no query`);
      return { schema: 'public', name, reading: { access: statement.access, names: statement.names } };
    }),
  };
  return new Catalog(snapshot, { readFunctions: [], writeFunctions: [] });
}

const functions: readonly FunctionRow[] = [
  ...inPublic('add_both add_vat customer_name label near orders_of total_of').map(declared(false)),
  ...inPublic('keep_last last_kept log_visit price receipt same_and_log tidy to_mood undeclared').map(declared(true)),
  { schema: 'app', name: 'initcap', isVolatile: true },
  { schema: 'app', name: 'upper', isVolatile: false },
];

function inPublic(names: string): readonly PlacedName[] {
  return names.split(' ').map((name) => ({ schema: 'public', name }));
}

function declared(isVolatile: boolean): (name: PlacedName) => FunctionRow {
  return (name) => ({ ...name, isVolatile });
}

function calling(name: string, called: string): HiddenCall {
  return { schema: 'public', name, function: { schema: 'public', name: called } };
}
