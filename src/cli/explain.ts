import { explainText } from '../admin/explain.js';
import type { ExplainDocument } from '../admin/explain.js';
import { ConfigError, formatProblem } from '../config/config-error.js';
import { loadConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { messageOf } from '../errors.js';
import { Catalog } from '../sql/catalog.js';
import type { CatalogRules } from '../sql/catalog-rules.js';
import type { CatalogSnapshot } from '../sql/catalog-snapshot.js';
import { TreeAnalyzer } from '../sql/sql-analyzer.js';
import { SqlParser } from '../sql/sql-parser.js';
import { VerdictCache } from '../sql/verdict-cache.js';
import { systemClock } from '../util/clock.js';
import { within } from './check/within.js';
import { readCatalogFile, writeCatalogFile } from './explain/catalog-file.js';
import { loadLiveCatalog } from './explain/live-catalog.js';
import { renderExplain, renderMistake } from './explain/render-explain.js';
import type { CommandOptions } from './options.js';
import { printable, processTerminal } from './terminal.js';
import type { Terminal } from './terminal.js';

/** Every statement may go to a standby. */
const EXIT_STANDBY = 0;
/** One of them goes to the primary. */
const EXIT_PRIMARY = 1;
/** There is no catalogue to be had. */
const EXIT_NO_CATALOG = 2;
/** As of BSD's sysexits: the statement is none (EX_DATAERR), a file cannot be written (EX_CANTCREAT), the configuration is wrong (EX_CONFIG). */
const EXIT_MISTAKE = 65;
const EXIT_NOT_WRITTEN = 73;
const EXIT_CONFIG = 78;
const LIVE_TIMEOUT_MS = 30_000;

export interface ExplainOptions extends CommandOptions {
  /** Null: nothing is explained, the catalogue is only saved. */
  readonly sql: string | null;
  /** A snapshot that was saved; null: the catalogue is loaded from the cluster. */
  readonly catalogFile: string | null;
  /** Null with a `catalogFile`. */
  readonly database: string | null;
  readonly saveFile: string | null;
  /** The configuration was named, so that its rules hold for a snapshot too. */
  readonly namesConfig: boolean;
}

/** Says where each statement of a text would go, and why. Runs none of them. Gives the exit code. */
export async function explain(options: ExplainOptions, terminal: Terminal = processTerminal()): Promise<number> {
  const { catalogFile, sql, saveFile } = options;
  let config: Config | null = null;
  if (catalogFile === null || options.namesConfig) {
    try {
      config = loadConfig(options.configPath, terminal.env).config;
    } catch (error) {
      const problems = error instanceof ConfigError ? error.problems.map(formatProblem) : [messageOf(error)];
      terminal.complain(problems.join('\n'));
      return EXIT_CONFIG;
    }
  }
  const parser = await SqlParser.load();
  const analyzer = new TreeAnalyzer(parser, new VerdictCache());
  let snapshot: CatalogSnapshot;
  try {
    snapshot =
      catalogFile === null && config !== null
        ? await within(loadLiveCatalog(config, options.database ?? '', analyzer, systemClock), LIVE_TIMEOUT_MS)
        : readCatalogFile(catalogFile ?? '');
  } catch (error) {
    terminal.complain(`There is no catalogue to be had: ${printable(messageOf(error))}`);
    return EXIT_NO_CATALOG;
  }
  if (saveFile !== null) {
    try {
      writeCatalogFile(saveFile, snapshot);
    } catch (error) {
      terminal.complain(`The catalogue cannot be saved: ${messageOf(error)}`);
      return EXIT_NOT_WRITTEN;
    }
  }
  if (sql === null) return EXIT_STANDBY;
  const catalog = new Catalog(snapshot, rulesOf(config));
  const parts = { parser, analyzer, catalogOf: () => catalog, troubleOf: () => null };
  return tell(explainText(sql, snapshot.database, parts), sql, options, terminal);
}

function tell(document: ExplainDocument, sql: string, { json }: CommandOptions, terminal: Terminal): number {
  const { mistake, target } = document;
  if (json) terminal.print(JSON.stringify(document, null, 2));
  else if (mistake === null) terminal.print(renderExplain(document, terminal.hasColour));
  else terminal.complain(`The statement cannot be read: ${renderMistake(sql, mistake)}`);
  if (mistake !== null) return EXIT_MISTAKE;
  return target === 'primary' ? EXIT_PRIMARY : EXIT_STANDBY;
}

function rulesOf(config: Config | null): CatalogRules {
  return {
    readFunctions: config?.routing.readFunctions ?? [],
    writeFunctions: config?.routing.writeFunctions ?? [],
  };
}
