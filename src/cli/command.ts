import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { messageOf } from '../errors.js';
import { packageVersion } from '../util/package-version.js';
import { parseDuration } from '../util/units.js';
import { parseDialAddress } from '../config/address.js';
import type { AdminOptions, CommandOptions } from './options.js';
import { run } from './run.js';

/** Exit code of a command line that cannot be understood (as of BSD's sysexits, EX_USAGE). */
const EXIT_USAGE = 64;
const DEFAULT_CONFIG = '/etc/switchyard/switchyard.yaml';
const DRAIN_TIMEOUT = '30s';
const SWITCHOVER_DRAIN_TIMEOUT = '10s';
const ETCD_PORT = 2379;
/** As the admin server sees it. */
const DRAIN_TIMEOUT_MAX_MS = 600_000;

const HELP = `switchyard: one address in front of a Patroni cluster

Usage: switchyard COMMAND [options]

Commands:
  run          Runs the proxy in the foreground.
  check        Tries everything that the configuration names, and says what is missing.
  explain      Says where a statement goes on a split listener, and why.
  status       Shows the nodes, their lag and the sessions of a running proxy.
  drain        Tells running proxies that a node is about to be stopped, so that its sessions leave it.
  switchover   Hands the primary over to another node through Patroni, and shows it phase by phase.
  forget-past  Lets running proxies serve a cluster that was restored to an older timeline.
  import       Writes a configuration from those of PgBouncer and HAProxy.
  demo         Starts three PostgreSQL servers and the proxy, and shows a switchover and a crash.

Options:
  -c, --config FILE   The configuration (default: $SWITCHYARD_CONFIG or ${DEFAULT_CONFIG}).
      --json          Machine-readable output (explain, status, drain, switchover, forget-past).
  -h, --help          This text.
  -V, --version       The version.

Options of drain, switchover and forget-past:
      --admin ADDRESS     Admin server of a proxy, host:port; may be given several times (default: as for status).
      --token-file FILE   Holds its admin.token (default: $SWITCHYARD_ADMIN_TOKEN, or that of the configuration).
      --timeout TIME      Longest wait for those who are there (drain: ${DRAIN_TIMEOUT}, switchover: ${SWITCHOVER_DRAIN_TIMEOUT}).
      --yes               Ask nobody (switchover, forget-past).

Options of drain:
      --node NODE         The node that is about to be stopped.
      --primary           Whoever is the primary (the default).
      --wait              Wait until it is empty. Ends with 0 when it is, with 3 when sessions are left, with 1 on errors.
      --cancel            It is not stopped after all.

Options of switchover:
      --to NODE           Who takes over (default: the fittest standby).
      --no-drain          Do not wait for open transactions first; they will get an error.
      --patroni-user NAME User of Patroni's REST API; its password is $SWITCHYARD_PATRONI_PASSWORD.
      --insecure          Believe any certificate of Patroni's REST API.

Options of explain:
      --database NAME     The database whose functions and views count; they are read through the monitor role.
      --catalog FILE      What --save-catalog has saved, in place of --database; needs no cluster.
      --save-catalog FILE Save what was read, as JSON; holds names only.
  The statement comes as the last word, or on standard input for "-". Ends with 0 when it may go to a standby, with 1 when it goes to
  the primary, with 65 when it is no SQL.

Options of import:
      --pgbouncer FILE    A pgbouncer.ini, with what it includes.
      --haproxy FILE      A haproxy.cfg; may be given several times. One of the two is needed.
      --output FILE       Where the configuration goes (default: standard output).
      --force             Overwrite that file.
      --etcd ADDRESSES    The etcd of Patroni, host:port,host:port...
      --scope NAME        The scope of Patroni.
      --nodes             Write the servers of the old files as a fixed list, instead of asking etcd.
  What has no counterpart is listed on standard error, and at the end of the file. Ends with 0 when all was understood, with 1 when
  lines were passed over, with 66 when a file cannot be read, with 73 when the output cannot be written.

Environment:
  SWITCHYARD_ADMIN    host:port of the admin server that is asked; wins over the configuration.

Examples:
  switchyard run --config config/example.yaml
  switchyard check --config config/example.yaml && switchyard run --config config/example.yaml
  switchyard status --config config/example.yaml --json
  switchyard explain --config config/example.yaml --database shop "SELECT price(id) FROM items"
  switchyard drain --node node1 --wait --timeout 10s --admin 10.0.0.11:9432 --admin 10.0.0.12:9432
  switchyard switchover --to node2
  switchyard import --pgbouncer pgbouncer.ini --haproxy haproxy.cfg --output switchyard.yaml
`;

type Values = ReturnType<typeof parse>['values'];
type OptionName = keyof Values;

const ADMIN_OPTIONS: readonly OptionName[] = ['json', 'admin', 'token-file'];
/** What each command understands besides --config. */
const COMMANDS: ReadonlyMap<string, readonly OptionName[]> = new Map<string, readonly OptionName[]>([
  ['run', []],
  ['check', []],
  ['explain', ['json', 'database', 'catalog', 'save-catalog']],
  ['status', ['json']],
  ['drain', [...ADMIN_OPTIONS, 'node', 'primary', 'wait', 'cancel', 'timeout']],
  ['switchover', [...ADMIN_OPTIONS, 'to', 'yes', 'no-drain', 'timeout', 'patroni-user', 'insecure']],
  ['forget-past', [...ADMIN_OPTIONS, 'yes']],
  ['import', ['pgbouncer', 'haproxy', 'output', 'force', 'etcd', 'scope', 'nodes']],
  ['demo', []],
]);

/** A command line that makes no sense. */
class UsageError extends Error {}

/** Runs one command line to its end and gives the exit code. */
export async function runCommand(argv: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parse(argv);
    if (values.version === true) {
      console.log(`switchyard ${packageVersion()}`);
      return 0;
    }
    const [command, ...rest] = positionals;
    if (values.help === true || command === undefined) {
      console.log(HELP);
      return command === undefined && values.help !== true ? EXIT_USAGE : 0;
    }
    checkUsage(command, rest, values);
    return await dispatch(command, rest[0] ?? null, values);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`switchyard: ${error.message}\nTry "switchyard --help".`);
    return EXIT_USAGE;
  }
}

function checkUsage(command: string, rest: readonly string[], values: Values): void {
  const known = COMMANDS.get(command);
  if (known === undefined) throw new UsageError(`unknown command "${command}"`);
  const extra = rest[command === 'explain' ? 1 : 0];
  if (extra !== undefined) throw new UsageError(`unexpected "${extra}"`);
  for (const name of Object.keys(values)) {
    if (name !== 'config' && !known.some((option) => option === name)) {
      throw new UsageError(`"${command}" has no option --${name}`);
    }
  }
}

async function dispatch(command: string, word: string | null, values: Values): Promise<number> {
  const options: AdminOptions = {
    configPath: values.config ?? process.env['SWITCHYARD_CONFIG'] ?? DEFAULT_CONFIG,
    json: values.json === true,
    admins: values.admin ?? [],
    tokenFile: values['token-file'] ?? null,
  };
  switch (command) {
    case 'run':
      return run(options);
    case 'check':
      return (await import('./check.js')).check(options);
    case 'explain':
      return explain(word, options, values);
    case 'status':
      return (await import('./status.js')).status(options);
    case 'drain':
      if (values.node !== undefined && values.primary === true) {
        throw new UsageError('--node and --primary exclude each other');
      }
      return (await import('./drain.js')).drain({
        ...options,
        node: values.node ?? null,
        wait: values.wait === true,
        cancel: values.cancel === true,
        timeoutMs: readTimeout(values.timeout ?? DRAIN_TIMEOUT),
      });
    case 'switchover':
      return (await import('./switchover.js')).switchover({
        ...options,
        to: values.to ?? null,
        yes: values.yes === true,
        drain: values['no-drain'] !== true,
        timeoutMs: readTimeout(values.timeout ?? SWITCHOVER_DRAIN_TIMEOUT),
        patroniUser: values['patroni-user'] ?? null,
        insecure: values.insecure === true,
      });
    case 'forget-past':
      return (await import('./forget-past.js')).forgetPast({ ...options, yes: values.yes === true });
    case 'import':
      return importConfig(values);
    case 'demo':
    default:
      return (await import('./demo/demo.js')).demo();
  }
}

async function explain(word: string | null, options: CommandOptions, values: Values): Promise<number> {
  const { catalog: catalogFile = null, database = null, 'save-catalog': saveFile = null } = values;
  if (word === null && saveFile === null)
    throw new UsageError('"explain" needs a statement, or "-" for standard input');
  if ((catalogFile === null) === (database === null)) {
    throw new UsageError('"explain" needs either --database or --catalog');
  }
  return (await import('./explain.js')).explain({
    ...options,
    sql: word === '-' ? await text(process.stdin) : word,
    catalogFile,
    database,
    saveFile,
    namesConfig: values.config !== undefined,
  });
}

async function importConfig({ pgbouncer, haproxy, etcd, scope, ...values }: Values): Promise<number> {
  if (pgbouncer === undefined && haproxy === undefined) {
    throw new UsageError('"import" needs --pgbouncer, --haproxy or both');
  }
  if (values.nodes === true && etcd !== undefined) throw new UsageError('--nodes and --etcd exclude each other');
  if (values.force === true && values.output === undefined) throw new UsageError('--force needs --output');
  if (scope === '' || scope?.includes('/') === true) throw new UsageError('--scope: a name without a slash');
  return (await import('./import.js')).importConfig({
    pgbouncer: pgbouncer ?? null,
    haproxy: haproxy ?? [],
    output: values.output ?? null,
    force: values.force === true,
    wishes: { etcd: readAddresses(etcd ?? []), scope: scope ?? null, nodes: values.nodes === true },
  });
}

function readAddresses(texts: readonly string[]): readonly string[] {
  const addresses = texts.flatMap((text) => text.split(',').map((part) => part.trim()));
  for (const address of addresses) {
    const result = parseDialAddress(address, ETCD_PORT);
    if (!result.ok) throw new UsageError(`--etcd: ${result.problem}`);
  }
  return addresses;
}

function readTimeout(text: string): number {
  const result = parseDuration(text);
  if (!result.ok) throw new UsageError(`--timeout: ${result.problem}`);
  if (result.value > DRAIN_TIMEOUT_MAX_MS) throw new UsageError('--timeout: at most 10m');
  return result.value;
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'V' },
        admin: { type: 'string', multiple: true },
        'token-file': { type: 'string' },
        timeout: { type: 'string' },
        yes: { type: 'boolean' },
        node: { type: 'string' },
        primary: { type: 'boolean' },
        wait: { type: 'boolean' },
        cancel: { type: 'boolean' },
        to: { type: 'string' },
        'no-drain': { type: 'boolean' },
        'patroni-user': { type: 'string' },
        insecure: { type: 'boolean' },
        database: { type: 'string' },
        catalog: { type: 'string' },
        'save-catalog': { type: 'string' },
        pgbouncer: { type: 'string' },
        haproxy: { type: 'string', multiple: true },
        output: { type: 'string' },
        force: { type: 'boolean' },
        etcd: { type: 'string', multiple: true },
        scope: { type: 'string' },
        nodes: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}
