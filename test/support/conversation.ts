import * as fc from 'fast-check';

/** One message of a client, and what a PostgreSQL backend makes of it. */
export interface Move {
  /** The type byte as a character. */
  readonly type: string;
  readonly what: What;
  /** Sent by the proxy itself: the answer is for nobody. */
  readonly isOwn: boolean;
}

/** The statements and outcomes that conversations are made of; `conversation-messages.ts` writes them as messages. */
export type What =
  | 'select'
  | 'two'
  | 'empty'
  | 'insert'
  | 'deferred'
  | 'error'
  | 'insert_then_error'
  | 'suspended'
  | 'copy_out'
  | 'copy_in'
  | 'copy_in_twice'
  | 'copy_to_view'
  | 'copy_missing'
  | 'parse_error'
  | 'bind_error'
  | 'statement'
  | 'portal'
  | 'good_row'
  | 'bad_row'
  | '';

type Kind = 'query' | 'execute';

const STATEMENTS = ['select', 'empty', 'insert', 'deferred', 'error', 'suspended', 'copy_out'] as const;
const QUERIES = ['select', 'two', 'empty', 'insert', 'deferred', 'error', 'insert_then_error', 'copy_out'] as const;

function move(type: string, what: What = ''): Move {
  return { type, what, isOwn: false };
}

/**
 * A PostgreSQL backend as far as its answers go, written from the documentation ("Message Flow", "COPY Operations") and from the main
 * loop of postgres.c. It knows nothing of the tracker.
 */
export class BackendModel {
  #isSkipping = false;
  /** A COPY FROM STDIN under way: who asked, and how many more COPYs its query string holds. */
  #copy: { readonly kind: Kind; left: number } | null = null;
  /** Something will fail when the transaction ends. */
  #isDoomed = false;
  /** What the statement of the last Parse is. */
  #statement: What = '';

  /** It waits for COPY data. */
  get isCopyIn(): boolean {
    return this.#copy !== null;
  }

  /** What it would answer to these messages; it does not take them. */
  foresee(moves: readonly Move[]): string {
    const copy = new BackendModel();
    copy.#isSkipping = this.#isSkipping;
    copy.#copy = this.#copy === null ? null : { ...this.#copy };
    copy.#isDoomed = this.#isDoomed;
    copy.#statement = this.#statement;
    return moves.map((move) => copy.take(move)).join('');
  }

  /** Types of what it answers to one message. */
  take({ type, what }: Move): string {
    if (this.#copy !== null) return this.#takeInCopy(type, what, this.#copy);
    if (this.#isSkipping && type !== 'S') return '';
    switch (type) {
      case 'Q':
        return this.#query(what);
      case 'P':
        this.#statement = what;
        return what === 'parse_error' ? this.#failExtended() : '1';
      case 'B':
        return what === 'bind_error' ? this.#failExtended() : '2';
      case 'D':
        return (what === 'statement' ? 't' : '') + (this.#hasRows() ? 'T' : 'n');
      case 'E':
        return this.#execute();
      case 'C':
        return '3';
      case 'F':
        return what === 'error' ? 'EZ' : 'VZ';
      case 'S': {
        this.#isSkipping = false;
        const fails = this.#isDoomed;
        this.#isDoomed = false;
        return fails ? 'EZ' : 'Z';
      }
      default:
        return '';
    }
  }

  #hasRows(): boolean {
    return ['select', 'suspended', 'error', 'bind_error'].includes(this.#statement);
  }

  #query(what: What): string {
    switch (what) {
      case 'select':
        return 'TDDDCZ';
      case 'two':
        return 'TDCTDCZ';
      case 'empty':
        return 'IZ';
      case 'insert':
        return 'CZ';
      case 'deferred':
        return 'EZ';
      case 'error':
        return 'TEZ';
      case 'insert_then_error':
        return 'CTEZ';
      case 'copy_out':
        return 'HdddcCZ';
      case 'copy_in':
      case 'copy_in_twice':
        this.#copy = { kind: 'query', left: what === 'copy_in' ? 0 : 1 };
        return 'G';
      case 'copy_to_view':
        return 'GEZ';
      default:
        return 'EZ';
    }
  }

  #execute(): string {
    switch (this.#statement) {
      case 'select':
        return 'DDDC';
      case 'suspended':
        return 'Ds';
      case 'empty':
        return 'I';
      case 'deferred':
        this.#isDoomed = true;
        return 'C';
      case 'copy_out':
        return 'HdddcC';
      case 'copy_in':
        this.#copy = { kind: 'execute', left: 0 };
        return 'G';
      case 'copy_to_view':
        return `G${this.#failExtended()}`;
      case 'copy_missing':
      case 'error':
        return this.#failExtended();
      default:
        return 'C';
    }
  }

  #failExtended(): string {
    this.#isSkipping = true;
    this.#isDoomed = false;
    return 'E';
  }

  #takeInCopy(type: string, what: What, copy: { readonly kind: Kind; left: number }): string {
    if (type === 'f' || (type === 'd' && what === 'bad_row')) {
      this.#copy = null;
      return copy.kind === 'query' ? 'EZ' : this.#failExtended();
    }
    if (type !== 'c') return '';
    if (copy.left > 0) {
      copy.left -= 1;
      return 'CG';
    }
    this.#copy = null;
    return copy.kind === 'query' ? 'CZ' : 'C';
  }
}

/**
 * Syncs that a client sends behind a COPY before its end, as libpq does because it does not know that its statement is a COPY:
 * none; only where the COPY then ends well, so that they are surely ignored; or anywhere.
 */
export type EarlySyncs = 'none' | 'ignored' | 'any';

function rowsAndNoise(noise: readonly Move[]): fc.Arbitrary<Move[]> {
  const row = { weight: 3, arbitrary: fc.constant(move('d', 'good_row')) };
  return fc.array(fc.oneof(row, { weight: 1, arbitrary: fc.constantFrom(move('H'), ...noise) }), { maxLength: 5 });
}

/** What a client sends while it takes the backend to read COPY data, and the end. */
function copyBody(what: What, syncs: EarlySyncs): fc.Arbitrary<Move[]> {
  const ends = fc.constantFrom(move('c'), move('c'), move('f'));
  const failing = fc.tuple(rowsAndNoise([move('d', 'bad_row'), ...(syncs === 'any' ? [move('S')] : [])]), ends);
  const ending = fc.tuple(rowsAndNoise([move('S')]), fc.constant(move('c')));
  const isSafe = syncs === 'ignored' && (what === 'copy_in' || what === 'copy_missing');
  return (isSafe ? fc.oneof(failing, ending) : failing).map(([body, end]) => [...body, end]);
}

function queryUnit(syncs: EarlySyncs): fc.Arbitrary<Move[]> {
  const copies = fc.constantFrom<What[]>('copy_in', 'copy_to_view', 'copy_missing');
  return fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...QUERIES).map((what) => [move('Q', what)]) },
    {
      weight: 2,
      arbitrary: copies.chain((what) => copyBody(what, syncs).map((body) => [move('Q', what), ...body])),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(copyBody('copy_in_twice', syncs), copyBody('copy_in_twice', syncs))
        .map(([first, second]) => [move('Q', 'copy_in_twice'), ...first, ...second]),
    },
  );
}

/** Parse, Bind, perhaps Describe, and Execute. */
function call(what: What): fc.Arbitrary<Move[]> {
  const described = fc.constantFrom<What[]>('', '', 'statement', 'portal');
  return described.map((target) => [
    move('P', what),
    ...(target === 'statement' ? [move('D', target)] : []),
    move('B', what),
    ...(target === 'portal' ? [move('D', target)] : []),
    move('E', what),
  ]);
}

function copyCall(syncs: EarlySyncs): fc.Arbitrary<Move[]> {
  return fc
    .constantFrom<What[]>('copy_in', 'copy_in', 'copy_to_view', 'copy_missing')
    .chain((what) => fc.tuple(call(what), copyBody(what, syncs)).map((parts) => parts.flat()));
}

function extendedUnit(syncs: EarlySyncs): fc.Arbitrary<Move[]> {
  const statement = fc.constantFrom<What[]>(...STATEMENTS, ...STATEMENTS, 'parse_error', 'bind_error');
  const plain = fc
    .tuple(statement.chain(call), fc.constantFrom([], [], [move('C', 'statement'), move('H')]))
    .map((parts) => parts.flat());
  // Who sends early Syncs has nothing but the last one to say behind the COPY.
  const calls =
    syncs === 'any'
      ? fc.tuple(fc.array(plain, { maxLength: 2 }), fc.option(copyCall(syncs), { nil: [] })).map(([a, b]) => [...a, b])
      : fc.array(fc.oneof({ weight: 2, arbitrary: plain }, { weight: 1, arbitrary: copyCall(syncs) }), {
          maxLength: 3,
        });
  return calls.map((parts) => [...parts.flat(), move('S')]);
}

const functionUnit: fc.Arbitrary<Move[]> = fc.constantFrom<What[]>('', 'error').map((what) => [move('F', what)]);
/** What a client may still send because it has not yet seen that its COPY failed. */
const strays: fc.Arbitrary<Move[]> = fc.constantFrom('c', 'f', 'd').map((type) => [move(type, 'good_row')]);
/** What the proxy sends itself, always at the border of two units. */
const ownUnit: fc.Arbitrary<Move[]> = fc
  .oneof(
    fc.constantFrom<What[]>('insert', 'error', 'two').map((what) => [move('Q', what)]),
    fc.constantFrom<What[]>('select', 'parse_error').map((what) => [move('P', what), move('S')]),
  )
  .map((moves) => moves.map((each) => ({ ...each, isOwn: true })));

/** Whole units of a client and of the proxy, one behind the other. */
export function conversation(syncs: EarlySyncs): fc.Arbitrary<Move[]> {
  return fc
    .array(
      fc.oneof(
        { weight: 4, arbitrary: queryUnit(syncs) },
        { weight: 6, arbitrary: extendedUnit(syncs) },
        { weight: 1, arbitrary: functionUnit },
        { weight: 1, arbitrary: strays },
        { weight: 2, arbitrary: ownUnit },
      ),
      { maxLength: 8 },
    )
    .map((units) => units.flat());
}
