import { asBytes } from './catalog-names.js';

/** What the configuration says of functions: names, or `schema.name`, as SQL writes them. */
export interface CatalogRules {
  readonly readFunctions: readonly string[];
  readonly writeFunctions: readonly string[];
}

/** A name with or without the schema it stands in, as SQL writes it. */
const WRITTEN = /^\s*(?:("(?:[^"]|"")+"|[^".\s]+)\s*\.\s*)?("(?:[^"]|"")+"|[^".\s]+)\s*$/;

/** A list of functions, looked up by name. Names are one character for each byte. */
export class FunctionList {
  /** Schemas by name; null stands for every schema. */
  readonly #schemas = new Map<string, Set<string | null>>();

  /** What is no name is left out. */
  constructor(written: readonly string[]) {
    for (const text of written) {
      const match = WRITTEN.exec(text);
      if (match === null) continue;
      const name = folded(match[2] ?? '');
      const schemas = this.#schemas.get(name) ?? new Set();
      schemas.add(match[1] === undefined ? null : folded(match[1]));
      this.#schemas.set(name, schemas);
    }
  }

  /** Whether the function of that schema is meant. */
  has(schema: string, name: string): boolean {
    const schemas = this.#schemas.get(name);
    return schemas !== undefined && (schemas.has(null) || schemas.has(schema));
  }

  /** Whether the functions of that name are meant in every schema. */
  hasEverywhere(name: string): boolean {
    return this.#schemas.get(name)?.has(null) === true;
  }

  /** Whether a function of that name is meant in any schema. */
  hasAnywhere(name: string): boolean {
    return this.#schemas.has(name);
  }
}

/** As PostgreSQL folds what is not quoted. */
function folded(written: string): string {
  const name = written.startsWith('"')
    ? written.slice(1, -1).replaceAll('""', '"')
    : written.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
  return asBytes(name);
}
