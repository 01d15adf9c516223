import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { roles } from '../../support/roles.js';

/** From the project's folder: the sources of programs are not copied to `dist`. */
const PROGRAMS = resolve('test/chaos/load/programs');
/** Debian's own: asyncpg and psycopg2 are installed for this one. */
const PYTHON = '/usr/bin/python3';
const JDBC = '/usr/share/java/postgresql.jar';
/** Java's machine takes what it can get otherwise, and there may be several of them. */
const JAVA_OPTIONS = ['-Xmx64m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/** Drivers of other languages. */
export type Driver = 'psycopg2' | 'asyncpg' | 'jdbc';

export interface HelperOptions {
  readonly port: number;
  readonly name: string;
  readonly worker: number;
  readonly pauseMs: number;
  /** Writes in one explicit transaction; 0: each write is its own. */
  readonly statements: number;
}

/** The writers in other languages: the Java one is compiled first. */
export class Helpers {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async prepare(): Promise<Helpers> {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-chaos-'));
    await promisify(execFile)('javac', ['-cp', JDBC, '-d', folder, join(PROGRAMS, 'WriterWithJdbc.java')]);
    return new Helpers(folder);
  }

  /** The command line of one writer. */
  command(driver: Driver, options: HelperOptions): readonly string[] {
    const { user, password, database } = roles.app;
    const { port, name } = options;
    const rest = [options.worker, options.pauseMs, options.statements].map(String);
    if (driver === 'jdbc') {
      const url = `jdbc:postgresql://127.0.0.1:${port}/${database}?user=${user}&password=${password}&prepareThreshold=2&ApplicationName=${name}`;
      return ['java', ...JAVA_OPTIONS, '-cp', `${JDBC}:${this.#folder}`, 'WriterWithJdbc', url, ...rest];
    }
    const dsn = `postgresql://${user}:${password}@127.0.0.1:${port}/${database}?application_name=${name}`;
    return [PYTHON, join(PROGRAMS, `writer_with_${driver}.py`), dsn, ...rest];
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
