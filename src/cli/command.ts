import { parseArgs } from 'node:util';
import { messageOf } from '../errors.js';
import { packageVersion } from '../util/package-version.js';
import { run } from './run.js';

/** Exit code of a command line that cannot be understood (as of BSD's sysexits, EX_USAGE). */
const EXIT_USAGE = 64;
const DEFAULT_CONFIG = '/etc/switchyard/switchyard.yaml';

const HELP = `switchyard: one address in front of a Patroni cluster

Usage: switchyard COMMAND [options]

Commands:
  run       Runs the proxy in the foreground.
  check     Tries everything that the configuration names, and says what is missing.
  status    Shows the nodes, their lag and the sessions of a running proxy.
  demo      Starts three PostgreSQL servers and the proxy, and shows a switchover and a crash.

Options:
  -c, --config FILE   The configuration (default: $SWITCHYARD_CONFIG or ${DEFAULT_CONFIG}).
      --json          Machine-readable output (status).
  -h, --help          This text.
  -V, --version       The version.

Environment:
  SWITCHYARD_ADMIN    host:port of the admin server that "status" asks; wins over the configuration.

Examples:
  switchyard run --config config/example.yaml
  switchyard check --config config/example.yaml && switchyard run --config config/example.yaml
  switchyard status --config config/example.yaml --json
`;

/** What a command is given. */
export interface CommandOptions {
  readonly configPath: string;
  readonly json: boolean;
}

/** Runs one command line to its end and gives the exit code. */
export async function runCommand(argv: readonly string[]): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(argv);
  } catch (error) {
    console.error(`switchyard: ${messageOf(error)}\nTry "switchyard --help".`);
    return EXIT_USAGE;
  }
  const { values, positionals } = parsed;
  if (values.version === true) {
    console.log(`switchyard ${packageVersion()}`);
    return 0;
  }
  const [command, ...rest] = positionals;
  if (values.help === true || command === undefined) {
    console.log(HELP);
    return command === undefined && values.help !== true ? EXIT_USAGE : 0;
  }
  if (rest.length > 0) {
    console.error(`switchyard: unexpected "${rest[0] ?? ''}". Try "switchyard --help".`);
    return EXIT_USAGE;
  }
  const options: CommandOptions = {
    configPath: values.config ?? process.env['SWITCHYARD_CONFIG'] ?? DEFAULT_CONFIG,
    json: values.json === true,
  };
  switch (command) {
    case 'run':
      return run(options);
    case 'check':
      return (await import('./check.js')).check(options);
    case 'status':
      return (await import('./status.js')).status(options);
    case 'demo':
      return (await import('./demo/demo.js')).demo();
    default:
      console.error(`switchyard: unknown command "${command}". Try "switchyard --help".`);
      return EXIT_USAGE;
  }
}

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      config: { type: 'string', short: 'c' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean', short: 'V' },
    },
  });
}
