import { frontend, message } from './raw-messages.js';
import type { Move, What } from './conversation.js';

/** Run once on an empty database before conversations are sent to it. */
export const conversationTables = `
  create table copied (a int);
  create table deferred (a int unique deferrable initially deferred);
  create view no_table as select 1 as a;
  insert into copied values (1), (2), (3);
  create function fails_late() returns int language plpgsql volatile as $$ begin return 1 / 0; end $$;`;

const sql: Readonly<Record<What, string>> = {
  select: 'select generate_series(1, 3)',
  two: 'select 1; select 2',
  empty: ' -- nothing',
  insert: 'insert into copied select 1 where false',
  deferred: 'insert into deferred values (1), (1)',
  error: 'select fails_late()',
  insert_then_error: 'insert into copied select 1 where false; select fails_late()',
  suspended: 'select generate_series(1, 3)',
  copy_out: 'copy (values (1), (2), (3)) to stdout',
  copy_in: 'copy copied from stdin',
  copy_in_twice: 'copy copied from stdin; copy copied from stdin',
  copy_to_view: 'copy no_table from stdin',
  copy_missing: 'copy missing from stdin',
  parse_error: 'selec',
  bind_error: 'select $1::int',
  statement: '',
  portal: '',
  good_row: '',
  bad_row: '',
  '': '',
};

function int(bytes: number, value: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeIntBE(value, 0, bytes);
  return buffer;
}

/** FunctionCall of `int4pl(2, 3)`, or of a function that does not exist. */
function functionCall(oid: number): Buffer {
  const argument = (value: string): Buffer[] => [int(4, value.length), Buffer.from(value)];
  return message('F', int(4, oid), int(2, 0), int(2, 2), ...argument('2'), ...argument('3'), int(2, 0));
}

const INT4PL_OID = 177;

/** The bytes of a move. */
export function messageOf({ type, what }: Move): Buffer {
  switch (type) {
    case 'Q':
      return frontend.query(sql[what]);
    case 'P':
      return frontend.parse(sql[what]);
    case 'B':
      return frontend.bind();
    case 'D':
      return frontend.describe(what === 'statement' ? 'S' : 'P');
    case 'E':
      return frontend.execute('', what === 'suspended' ? 1 : 0);
    case 'C':
      return frontend.close('S', 'no such statement');
    case 'F':
      return functionCall(what === 'error' ? 1 : INT4PL_OID);
    case 'H':
      return frontend.flush();
    case 'S':
      return frontend.sync();
    case 'd':
      return frontend.copyData(what === 'bad_row' ? 'x\n' : '1\n');
    case 'c':
      return frontend.copyDone();
    case 'f':
      return frontend.copyFail('not today');
    default:
      throw new Error(`no message for ${type}`);
  }
}
