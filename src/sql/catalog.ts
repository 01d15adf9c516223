import type { NamesUsed, QualifiedName, StatementAnalysis } from './analysis.js';
import {
  isAssigningBuiltIn,
  isNodeBoundBuiltIn,
  isNodeBoundSystemRelation,
  isReadBuiltIn,
  isTextRunning,
  SYSTEM_SCHEMA,
} from './catalog-functions.js';
import { asBytes, asText, NameIndex, quoted } from './catalog-names.js';
import { FunctionList } from './catalog-rules.js';
import type { CatalogRules } from './catalog-rules.js';
import type { CatalogSnapshot, FunctionRow, HiddenCall, PlacedName, ViewRow } from './catalog-snapshot.js';
import { obstacleOfAccess, ReadObstacle } from './read-obstacle.js';
import type { ReadVerdict, Refused } from './read-obstacle.js';

const READ: ReadVerdict = { isRead: true };

/**
 * Says which statements are reads, from what is known of the names in one database. What is not known to be a read is none; and a name
 * without a schema means whatever it may mean by any search path, so that nobody's function slips in for one of PostgreSQL's.
 */
export class Catalog {
  readonly snapshot: CatalogSnapshot;
  readonly #reads: FunctionList;
  readonly #writes: FunctionList;
  readonly #functions: NameIndex<FunctionRow>;
  readonly #attributes: NameIndex<PlacedName>;
  readonly #operators: NameIndex<HiddenCall>;
  readonly #types: NameIndex<HiddenCall>;
  readonly #unlogged: NameIndex<PlacedName>;
  readonly #nodeBound: NameIndex<PlacedName>;
  readonly #views: NameIndex<ViewRow>;
  /** Null: it is a read, or is being looked at. */
  readonly #viewVerdicts = new Map<ViewRow, Refused | null>();
  readonly #verdicts = new WeakMap<StatementAnalysis, ReadVerdict>();
  readonly #callers = new WeakMap<StatementAnalysis, boolean>();

  constructor(snapshot: CatalogSnapshot, rules: CatalogRules) {
    this.snapshot = snapshot;
    this.#reads = new FunctionList(rules.readFunctions);
    this.#writes = new FunctionList(rules.writeFunctions);
    this.#functions = new NameIndex(snapshot.functions);
    this.#attributes = new NameIndex(snapshot.volatileAttributes);
    this.#operators = new NameIndex(snapshot.volatileOperators);
    this.#types = new NameIndex(snapshot.volatileTypes);
    this.#unlogged = new NameIndex(snapshot.unloggedRelations);
    this.#nodeBound = new NameIndex(snapshot.nodeBoundRelations);
    this.#views = new NameIndex(snapshot.views);
  }

  /** Whether the statement is a read. Remembered as long as the statement is. */
  verdictOf(statement: StatementAnalysis): ReadVerdict {
    const known = this.#verdicts.get(statement);
    if (known !== undefined) return known;
    const obstacle = obstacleOfAccess(statement.access);
    const verdict = obstacle === null ? (this.#judge(statement.names) ?? READ) : refused(obstacle, null);
    this.#verdicts.set(statement, verdict);
    return verdict;
  }

  /** It calls a function that is not PostgreSQL's own and may change things without saying so, or one that is not known. */
  callsOut(statement: StatementAnalysis): boolean {
    const known = this.#callers.get(statement);
    if (known !== undefined) return known;
    const callsOut = statement.names.functions.some(({ schema, name }) => {
      const rows = this.#functions.find(schema, name);
      return rows.length === 0 || rows.some((row) => row.isVolatile && row.schema !== SYSTEM_SCHEMA);
    });
    this.#callers.set(statement, callsOut);
    return callsOut;
  }

  /** What stands in the way within a view that is no read, `name` being as a verdict has it; null where that is not known. */
  obstacleWithin(name: string): Refused | null {
    const view = this.snapshot.views.find((each) => sayName(each) === name);
    return view === undefined ? null : this.#judgeView(view);
  }

  #judge(names: NamesUsed): Refused | null {
    return (
      first(names.functions, (each) => this.#judgeFunction(each)) ??
      first(names.operators, (each) => this.#judgeHidden(this.#operators, each, ReadObstacle.VolatileOperator)) ??
      first(names.types, (each) => this.#judgeHidden(this.#types, each, ReadObstacle.VolatileCast)) ??
      first(names.relations, (each) => this.#judgeRelation(each)) ??
      first(names.attributes, (each) => this.#judgeAttribute(each))
    );
  }

  #judgeFunction({ schema, name }: QualifiedName): Refused | null {
    const isWrite = schema === null ? this.#writes.hasAnywhere(name) : this.#writes.has(schema, name);
    if (isWrite) return refusedName(ReadObstacle.WriteFunction, schema, name);
    if (schema === null ? this.#reads.hasEverywhere(name) : this.#reads.has(schema, name)) return null;
    const rows = this.#functions.find(schema, name);
    if (rows.length === 0) return refusedName(ReadObstacle.UnknownFunction, schema, name);
    for (const row of rows) {
      const obstacle = this.#reads.has(asBytes(row.schema), name) ? null : obstacleOfFunction(row, name);
      if (obstacle !== null) return refused(obstacle, sayFunction(row));
    }
    return null;
  }

  /** What is named is the function behind it, since that can be allowed. */
  #judgeHidden(index: NameIndex<HiddenCall>, { schema, name }: QualifiedName, obstacle: ReadObstacle): Refused | null {
    for (const { function: called } of index.find(schema, name)) {
      if (!this.#reads.has(asBytes(called.schema), asBytes(called.name))) return refused(obstacle, sayFunction(called));
    }
    return null;
  }

  #judgeRelation({ schema, name }: QualifiedName): Refused | null {
    if ((schema === null || schema === SYSTEM_SCHEMA) && isNodeBoundSystemRelation(name)) {
      return refusedName(ReadObstacle.NodeBoundRelation, schema, name);
    }
    const bound = this.#nodeBound.find(schema, name)[0];
    if (bound !== undefined) return refused(ReadObstacle.NodeBoundRelation, sayName(bound));
    const unlogged = this.#unlogged.find(schema, name)[0];
    if (unlogged !== undefined) return refused(ReadObstacle.UnloggedRelation, sayName(unlogged));
    for (const view of this.#views.find(schema, name)) {
      if (this.#judgeView(view) !== null) return refused(ReadObstacle.ViewNotRead, sayName(view));
    }
    return null;
  }

  #judgeView(view: ViewRow): Refused | null {
    const known = this.#viewVerdicts.get(view);
    if (known !== undefined) return known;
    // Only views whose names are taken for each other can lead back here.
    this.#viewVerdicts.set(view, null);
    const verdict = this.#judgeReading(view.reading);
    this.#viewVerdicts.set(view, verdict);
    return verdict;
  }

  #judgeReading(reading: ViewRow['reading']): Refused | null {
    if (reading === null) return refused(ReadObstacle.Unknown, null);
    const obstacle = obstacleOfAccess(reading.access);
    return obstacle === null ? this.#judge(namesAsBytes(reading.names)) : refused(obstacle, null);
  }

  /** `a.b` is most often a column. */
  #judgeAttribute(name: string): Refused | null {
    if (this.#writes.hasAnywhere(name) && this.#functions.find(null, name).length > 0) {
      return refusedName(ReadObstacle.WriteFunction, null, name);
    }
    for (const row of this.#attributes.find(null, name)) {
      const isRead = row.schema === SYSTEM_SCHEMA && isReadBuiltIn(name);
      if (isRead || this.#reads.has(asBytes(row.schema), name)) continue;
      return refused(ReadObstacle.VolatileFunction, sayFunction(row));
    }
    return null;
  }
}

/**
 * The verdict of a statement while nothing is known of its database: only what names nothing, or nothing but what PostgreSQL itself has for
 * certain, is a read.
 */
export function verdictWithoutCatalog(statement: StatementAnalysis): ReadVerdict {
  const obstacle = obstacleOfAccess(statement.access);
  if (obstacle !== null) return refused(obstacle, null);
  const { functions, relations, operators, types, attributes } = statement.names;
  const isPlain =
    functions.length === 0 &&
    attributes.length === 0 &&
    relations.every(({ schema, name }) => schema === SYSTEM_SCHEMA && !isNodeBoundSystemRelation(name)) &&
    operators.every(({ schema }) => schema === SYSTEM_SCHEMA) &&
    types.every(({ schema }) => schema === SYSTEM_SCHEMA);
  return isPlain ? READ : refused(ReadObstacle.NoCatalog, null);
}

function obstacleOfFunction({ schema, isVolatile }: FunctionRow, name: string): ReadObstacle | null {
  if (isTextRunning(name)) return ReadObstacle.VolatileFunction;
  if (schema !== SYSTEM_SCHEMA) return isVolatile ? ReadObstacle.VolatileFunction : null;
  if (isNodeBoundBuiltIn(name)) return ReadObstacle.NodeBoundFunction;
  if (isAssigningBuiltIn(name) || (isVolatile && !isReadBuiltIn(name))) return ReadObstacle.VolatileFunction;
  return null;
}

function first<T>(things: readonly T[], judge: (thing: T) => Refused | null): Refused | null {
  for (const thing of things) {
    const verdict = judge(thing);
    if (verdict !== null) return verdict;
  }
  return null;
}

function refused(obstacle: ReadObstacle, name: string | null): Refused {
  return { isRead: false, obstacle, name };
}

/** The same with a name of an analysis. */
function refusedName(obstacle: ReadObstacle, schema: string | null, name: string): Refused {
  const last = quoted(asText(name));
  return refused(obstacle, schema === null ? last : `${quoted(asText(schema))}.${last}`);
}

function sayName({ schema, name }: PlacedName): string {
  return `${quoted(schema)}.${quoted(name)}`;
}

/** What belongs to PostgreSQL is known without its schema. */
function sayFunction(row: PlacedName): string {
  return row.schema === SYSTEM_SCHEMA ? quoted(row.name) : sayName(row);
}

function namesAsBytes(names: NamesUsed): NamesUsed {
  const each = ({ schema, name }: QualifiedName): QualifiedName => ({
    schema: schema === null ? null : asBytes(schema),
    name: asBytes(name),
  });
  return {
    functions: names.functions.map(each),
    relations: names.relations.map(each),
    operators: names.operators.map(each),
    types: names.types.map(each),
    attributes: names.attributes.map(asBytes),
  };
}
