import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { HAPROXY_TABLE } from '../../src/cli/import/haproxy-table.js';
import { PGBOUNCER_TABLE } from '../../src/cli/import/pgbouncer-table.js';
import { renderFindings } from '../../src/cli/import/finding.js';
import { parseConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { convertTexts } from '../unit/cli/import-cases.js';

const RUNS = 800;

/** Values that mean something somewhere, and some that mean nothing anywhere. */
const values = fc.oneof(
  fc.constantFrom(
    ...['0', '1', '20', '6432', '-1', '99999999999', '1.5', '010', 'md5', 'hba', 'transaction', 'statement', '*', '::'],
    ...[
      'a,b',
      'localhost',
      '10.0.0.1',
      '$$',
      '${X}',
      '$1',
      'SELECT $1',
      "'",
      '"',
      '#',
      ';',
      '=',
      '[',
      '%include x',
      '\\',
    ],
    ...['ä', '\u0085', '/x', '{', '}', '- a', ': ', '&a', '!b', '\u2028', '\ufeff', '\u0000', '\u0007', 'null', 'true'],
  ),
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 8 }),
);
/** Each is right by itself, and our loader refuses it, or something beside it. */
const refused = fc.constantFrom(
  ...['max_packet_size = 70000', 'server_lifetime = 1', 'min_pool_size = 90', 'reserve_pool_timeout = 0'],
  ...['listen_addr = ::, *', 'listen_port = 5000', 'listen_addr = 10.0.0.1', 'auth_file = /x', 'auth_type = hba'],
  ...['auth_hba_file = /a', 'auth_dbname = app', 'auth_type = any'],
);
const databaseKeys = fc.constantFrom(
  ...[
    'host',
    'port',
    'dbname',
    'user',
    'password',
    'pool_size',
    'auth_user',
    'auth_query',
    'auth_dbname',
    'connect_query',
    'x',
  ],
);
const pairs = fc
  .array(fc.tuple(databaseKeys, values), { maxLength: 4 })
  .map((list) => list.map((pair) => pair.join('=')).join(' '));
const settings = fc.tuple(fc.constantFrom(...Object.keys(PGBOUNCER_TABLE)), values).map((pair) => pair.join(' = '));
const entries = fc.tuple(values, pairs).map((pair) => pair.join(' = '));
const sections = fc.constantFrom('[databases]', '[pgbouncer]', '[users]', '[peers]', '[x]', '%include /a', '* =');
const iniLines = fc.oneof(settings, settings, settings, refused, refused, entries, sections, values);
/** Texts of somebody's that come into the new file as they are. */
const texts = fc.tuple(values, values, values, values).map(([name, user, looker, query]) => {
  const database = `'${name.replaceAll(/['\n]/g, '')}x' = user='${user.replaceAll("'", "''")}' password=p`;
  return `[databases]\n${database}\n[pgbouncer]\nauth_user = u${looker}\nauth_query = SELECT $1 ${query} $$ \${x}\n`;
});
const ini = fc
  .tuple(texts, fc.array(iniLines, { maxLength: 25 }))
  .map(([begin, lines]) => `${begin}${lines.join('\n')}`);

const addresses = fc.oneof(
  fc.constantFrom(
    ...[
      '*:5000',
      ':5001',
      '10.0.0.1:5432',
      '[::1]:5432',
      ':::1',
      'pg:5432',
      '/x',
      '"${V}:1"',
      ':1-2',
      '10.0.0.1:99999',
    ],
  ),
  values,
);
const places = fc.tuple(fc.constantFrom('bind', 'server a', 'server b'), addresses, values);
const headings = fc.tuple(fc.constantFrom('listen', 'frontend', 'backend', 'defaults', 'global', 'peers'), values);
const directives = fc.tuple(fc.constantFrom(...Object.keys(HAPROXY_TABLE)), values);
const known = fc.constantFrom(
  ...[
    'option httpchk /replica?lag=16MB&tag_a=b',
    'option httpchk OPTIONS /primary',
    'mode tcp',
    'mode http',
    'stats enable',
  ],
  ...['http-check send uri /sync', 'default_backend a', 'timeout connect 5s', 'maxconn 0', 'default-server maxconn 7'],
  ...['backlog 0', 'bind *:5000', 'bind :5000'],
);
const cfgLines = fc.oneof(
  places.map((words) => words.join(' ')),
  headings.map((words) => words.join(' ')),
  directives.map((words) => words.join(' ')),
  known,
  values,
);
/** A page of statistics at a port that somebody else may have. */
const stats = fc.constantFrom('', 'listen s\nmode http\nstats enable\nbind :5000\n');
const cfg = fc.tuple(stats, fc.array(cfgLines, { maxLength: 25 })).map(([page, lines]) => {
  const check = 'option httpchk /primary\nserver a 10.0.0.1:5432';
  return `defaults\nmode tcp\n${page}listen a\nmode tcp\n${check}\n${lines.join('\n')}`;
});

/** Fills every place that is marked, and has the loader read the file. */
function load(yaml: string): Config {
  const variables = [...yaml.matchAll(/\$\{([A-Za-z_]\w*)\}/g)].map((match) => match[1] ?? '');
  // A file has to be there; what names one is filled with a file that is.
  const env = Object.fromEntries(
    variables.map((name, index) => [name, name === 'USERLIST_FILE' ? process.execPath : String(30_000 + index)]),
  );
  return parseConfig(yaml, { fileName: 'imported.yaml', env, folder: '/' }).config;
}

test('whatever the old files say, the new one loads once its places are filled, and every finding is one line', () => {
  fc.assert(
    fc.property(
      fc.option(ini, { freq: 8 }),
      fc.option(cfg, { freq: 3 }),
      fc.boolean(),
      fc.record({ '/a': fc.oneof(ini, values), '/x': values }),
      (iniText, cfgText, nodes, others) => {
        const given = { ...(iniText === null ? {} : { ini: iniText }), ...(cfgText === null ? {} : { cfg: cfgText }) };
        const { yaml, findings } = convertTexts(given, { wishes: { etcd: [], scope: null, nodes }, others });
        const { query } = load(yaml).auth;
        const written = `${iniText ?? ''}\n${others['/a']}`;
        if (query?.startsWith('SELECT $1 ') === true) assert.ok(written.includes(query), query);
        // oxlint-disable-next-line no-control-regex
        for (const line of renderFindings(findings)) assert.doesNotMatch(line, /[\u0000-\u001F\u007F-\u009F]/);
        assert.equal(
          findings.find(({ subject }) => subject === 'the new file'),
          undefined,
        );
      },
    ),
    { numRuns: RUNS },
  );
});

test('any text at all gives a result', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
      load(convertTexts({ ini: text, cfg: text }).yaml);
    }),
    { numRuns: RUNS / 2 },
  );
});
