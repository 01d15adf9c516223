import { ConfigError, formatProblem } from '../config/config-error.js';
import { loadConfig } from '../config/load.js';
import type { LoadedConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { messageOf } from '../errors.js';
import { systemClock } from '../util/clock.js';
import type { Clock } from '../util/clock.js';
import { checkAddresses } from './check/addresses.js';
import { checkEngine } from './check/engine.js';
import { checkClaims } from './check/claims.js';
import { checkCluster, primaryOf } from './check/cluster.js';
import { checkNode } from './check/nodes.js';
import { fail, ok, renderFinding, renderSummary, warn } from './check/report.js';
import type { Finding } from './check/report.js';
import { checkUsers } from './check/users.js';
import { within } from './check/within.js';
import type { CommandOptions } from './options.js';
import { processTerminal } from './terminal.js';
import type { Terminal } from './terminal.js';

const EXIT_WELL = 0;
const EXIT_FAILED = 1;
/** As of BSD's sysexits (EX_CONFIG). */
const EXIT_CONFIG = 78;
/** Every step has its own time limit; together they may not take longer than this. */
const CHECK_TIMEOUT_MS = 30_000;
/** Nodes that are looked at at one time: a check must not be a load. */
const NODES_AT_ONCE = 16;

/** Hears of findings, group by group, in the order in which people read them. */
type Tell = (findings: readonly Finding[]) => void;

/**
 * Tries everything that the configuration names, the way the proxy would, and says what is missing and how to mend it. Changes nothing
 * anywhere, and says no secret. Gives the exit code.
 */
export async function check(options: CommandOptions, terminal: Terminal = processTerminal()): Promise<number> {
  const findings: Finding[] = [];
  const advised = new Set<string>();
  const tell: Tell = (group) => {
    for (const finding of group) {
      findings.push(finding);
      terminal.print(renderFinding(onlyOnce(finding, advised), terminal.hasColour));
    }
  };
  let loaded: LoadedConfig;
  try {
    loaded = loadConfig(options.configPath, terminal.env);
  } catch (error) {
    tell(
      error instanceof ConfigError ? error.problems.map((each) => fail(formatProblem(each))) : [fail(messageOf(error))],
    );
    return EXIT_CONFIG;
  }
  tell([ok(`configuration: ${options.configPath}`), ...loaded.warnings.map((each) => warn(formatProblem(each)))]);
  const giveUp = new AbortController();
  try {
    const tried = tryEverything(loaded.config, systemClock, (group) => {
      if (!giveUp.signal.aborted) tell(group);
    });
    await within(tried, CHECK_TIMEOUT_MS, `gave up after ${CHECK_TIMEOUT_MS / 1000} s: something answers too slowly`);
  } catch (error) {
    giveUp.abort();
    tell([fail(messageOf(error))]);
  }
  terminal.print(renderSummary(findings));
  return findings.some(({ verdict }) => verdict === 'fail') ? EXIT_FAILED : EXIT_WELL;
}

/** The same is most often wrong with every node: what mends it is said in full for the first. */
function onlyOnce(finding: Finding, advised: Set<string>): Finding {
  const advice = finding.mend.join('\n');
  if (advised.has(advice)) return { ...finding, mend: ['As above.'] };
  if (finding.mend.length > 1) advised.add(advice);
  return finding;
}

async function tryEverything(config: Config, clock: Clock, tell: Tell): Promise<void> {
  tell([checkEngine(config)]);
  tell(await checkAddresses(config));
  const claims = await checkClaims(config);
  tell(claims.findings);
  const nodes = [];
  for (let at = 0; at < claims.targets.length; at += NODES_AT_ONCE) {
    const some = claims.targets.slice(at, at + NODES_AT_ONCE);
    for (const { findings, node } of await Promise.all(some.map((target) => checkNode(target, config, clock)))) {
      tell(findings);
      if (node !== null) nodes.push(node);
    }
  }
  tell(checkCluster(claims, nodes));
  tell(await checkUsers(config, primaryOf(claims, nodes) ?? nodes[0] ?? null, clock));
}
