import type { NamesUsed, QualifiedName } from './analysis.js';

/** The names of one statement while they are found, each kept once. */
export class NameCollector {
  readonly #functions = new NameSet();
  readonly #relations = new NameSet();
  readonly #operators = new NameSet();
  readonly #types = new NameSet();
  readonly #attributes = new Set<string>();

  result(): NamesUsed {
    return {
      functions: this.#functions.names,
      relations: this.#relations.names,
      operators: this.#operators.names,
      types: this.#types.names,
      attributes: [...this.#attributes],
    };
  }

  addFunction(parts: readonly string[]): void {
    this.#functions.add(parts);
  }

  addRelation(parts: readonly string[]): void {
    this.#relations.add(parts);
  }

  addOperator(parts: readonly string[]): void {
    this.#operators.add(parts);
  }

  addType(parts: readonly string[]): void {
    this.#types.add(parts);
  }

  addAttribute(name: string): void {
    this.#attributes.add(name);
  }

  /** Everything of a statement within. */
  addAll({ functions, relations, operators, types, attributes }: NamesUsed): void {
    this.#functions.addAll(functions);
    this.#relations.addAll(relations);
    this.#operators.addAll(operators);
    this.#types.addAll(types);
    for (const name of attributes) this.#attributes.add(name);
  }
}

class NameSet {
  readonly names: QualifiedName[] = [];
  readonly #known = new Set<string>();

  /** The parts of a name; of what is more than a schema and a name, the last two count. */
  add(parts: readonly string[]): void {
    const name = parts.at(-1) ?? '';
    if (name !== '') this.#add(parts.at(-2) ?? null, name);
  }

  addAll(names: readonly QualifiedName[]): void {
    for (const { schema, name } of names) this.#add(schema, name);
  }

  #add(schema: string | null, name: string): void {
    // No name holds a zero byte.
    const key = schema === null ? name : `${schema}\0${name}`;
    if (this.#known.has(key)) return;
    this.#known.add(key);
    this.names.push({ schema, name });
  }
}
