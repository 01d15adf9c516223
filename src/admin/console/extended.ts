import { SwitchyardError } from '../../errors.js';
import type { BodyReader } from '../../protocol/body-reader.js';
import { Format } from '../../protocol/row-messages.js';
import type { Column, Row } from '../../protocol/row-messages.js';
import { CommandReader } from './command.js';
import type { Command } from './command.js';
import { columnsOf } from './runner.js';

/** Most statements, and most portals, of one client. */
const KEPT_MAX = 1000;
const STATEMENT = 0x53; // S
const PORTAL = 0x50; // P

/** Null: a text without a command. */
type Statement = Command | null;

export interface Portal {
  readonly statement: Statement;
  readonly columns: readonly Column[] | null;
  readonly formatOf: (index: number) => Format;
  /** What was not fetched yet; null before it runs. */
  rows: Iterator<Row> | null;
  tag: string;
  isDone: boolean;
}

/** The prepared statements and portals of one client: what Parse, Bind, Describe and Close are about. Every call may throw SwitchyardError. */
export class Extended {
  readonly #statements = new Map<string, Statement>();
  readonly #portals = new Map<string, Portal>();

  get prepared(): number {
    return this.#statements.size;
  }

  parse(body: BodyReader): void {
    const name = body.text();
    const reader = new CommandReader(body.text());
    // What type a parameter would have is of no interest: there are none.
    const types = body.int16();
    body.skip(types * 4);
    body.finish();
    if (name !== '' && this.#statements.has(name)) {
      throw new SwitchyardError('duplicate_statement', `prepared statement "${name}" already exists`);
    }
    const command = reader.next();
    if (command !== null && reader.next() !== null) {
      throw new SwitchyardError('bad_command', 'cannot insert multiple commands into a prepared statement');
    }
    keep(this.#statements, name, command);
  }

  bind(body: BodyReader): void {
    const name = body.text();
    const statement = this.#statement(body.text());
    const formats = readFormats(body);
    const parameters = body.int16();
    if (parameters !== 0 || formats.length > 1) {
      throw new SwitchyardError(
        'protocol_violation',
        `bind message supplies ${parameters} parameters, but the statement requires 0`,
      );
    }
    const wanted = readFormats(body);
    body.finish();
    const columns = columnsOf(statement);
    if (wanted.length > 1 && wanted.length !== (columns?.length ?? 0)) {
      const message = `bind message has ${wanted.length} result formats but the query has ${columns?.length ?? 0} columns`;
      throw new SwitchyardError('protocol_violation', message);
    }
    const formatOf = (index: number): Format => wanted[wanted.length === 1 ? 0 : index] ?? Format.Text;
    keep(this.#portals, name, { statement, columns, formatOf, rows: null, tag: '', isDone: false });
  }

  /** What is to be described; `isStatement`: also that it takes no parameters. */
  described(body: BodyReader): Pick<Portal, 'columns' | 'formatOf'> & { readonly isStatement: boolean } {
    const kind = body.byte();
    const name = body.text();
    body.finish();
    if (kind === PORTAL) return { ...this.portal(name), isStatement: false };
    if (kind !== STATEMENT) throw new SwitchyardError('protocol_violation', 'invalid DESCRIBE message subtype');
    return { columns: columnsOf(this.#statement(name)), formatOf: () => Format.Text, isStatement: true };
  }

  /** What is not there is closed already. */
  close(body: BodyReader): void {
    const kind = body.byte();
    const name = body.text();
    body.finish();
    if (kind === PORTAL) this.#portals.delete(name);
    else if (kind === STATEMENT) this.#statements.delete(name);
    else throw new SwitchyardError('protocol_violation', 'invalid CLOSE message subtype');
  }

  portal(name: string): Portal {
    const portal = this.#portals.get(name);
    if (portal === undefined) throw new SwitchyardError('unknown_portal', `portal "${name}" does not exist`);
    return portal;
  }

  /** A simple Query destroys what has no name. */
  forgetUnnamed(): void {
    this.#statements.delete('');
    this.#portals.delete('');
  }

  #statement(name: string): Statement {
    const statement = this.#statements.get(name);
    if (statement === undefined) {
      throw new SwitchyardError('unknown_statement', `prepared statement "${name}" does not exist`);
    }
    return statement;
  }
}

function readFormats(body: BodyReader): readonly Format[] {
  const formats: Format[] = [];
  for (let left = body.int16(); left > 0; left -= 1) {
    const format = body.int16();
    if (format !== Format.Text && format !== Format.Binary) {
      throw new SwitchyardError('protocol_violation', `unsupported format code: ${format}`);
    }
    formats.push(format);
  }
  return formats;
}

function keep<T>(map: Map<string, T>, name: string, value: T): void {
  if (!map.has(name) && map.size >= KEPT_MAX) {
    throw new SwitchyardError(
      'too_many_statements',
      `the console keeps ${KEPT_MAX} statements and portals of a client`,
    );
  }
  map.set(name, value);
}
