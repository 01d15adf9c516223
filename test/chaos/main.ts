import { messageOf } from '../../src/errors.js';
import { runCampaign } from './campaign.js';
import { readOptions } from './options.js';
import type { Request } from './options.js';
import { comparison } from './report/markdown.js';
import { faultTable } from './report/table.js';
import { describeSplitReads, runSplitReads } from './split-reads.js';
import type { SplitReadsPlan } from './split-reads.js';

/** Exit code of a command line that cannot be understood (EX_USAGE of BSD's sysexits). */
const EXIT_USAGE = 64;

/** Runs one command line to its end and gives the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  let request: Request;
  try {
    request = readOptions(argv);
  } catch (error) {
    console.error(`chaos: ${messageOf(error)}\nTry --help.`);
    return EXIT_USAGE;
  }
  if ('text' in request) {
    console.log(request.text);
    return 0;
  }
  if ('splitReads' in request) return splitReads(request.splitReads);
  const { plan } = request;
  const { rounds, violations, logs } = await runCampaign(plan, (line) => console.log(line));
  console.log(`\n${faultTable(rounds)}\n`);
  if (plan.withHaproxy) console.log(`${comparison(rounds)}\n`);
  if (logs !== null) console.log(`logs: ${logs}`);
  if (violations.length === 0) {
    console.log(`seed ${plan.seed}: all is well after ${rounds.length} rounds`);
    return 0;
  }
  console.log(
    `seed ${plan.seed}: ${violations.length} violations\n${violations.map((text) => `- ${text}`).join('\n')}`,
  );
  return 1;
}

async function splitReads(plan: SplitReadsPlan): Promise<number> {
  const result = await runSplitReads(plan, (line) => console.log(line));
  console.log(describeSplitReads(result));
  for (const text of result.violations) console.log(`- ${text}`);
  console.log(`seed ${plan.seed}: ${result.violations.length === 0 ? 'all is well' : 'violations'}`);
  return result.violations.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
