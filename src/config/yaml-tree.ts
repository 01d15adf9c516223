import {
  type Document,
  LineCounter,
  type Node,
  type Scalar,
  type YAMLMap,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  parseDocument,
} from 'yaml';
import { type Environment, interpolate } from './interpolate.js';
import type { Position, Remark, TreePath } from './place.js';
import { explainYamlError } from './yaml-words.js';

/** A YAML file as plain values, with the place of each. */
export interface YamlTree {
  readonly value: unknown;
  readonly problems: readonly Remark[];
  readonly warnings: readonly Remark[];
  /** Where the value is written; the nearest thing around it when it is not there. */
  positionOf(path: TreePath): Position;
  /** Where the key is written; like {@link positionOf} when there is no key. */
  keyPositionOf(path: TreePath): Position;
  /** True when the path is written in the file with a value. */
  has(path: TreePath): boolean;
  /**
   * True when the value, or one inside it, could not be made out (a variable that is not set), so that more words about it would
   * be noise.
   */
  isBroken(path: TreePath): boolean;
}

/** Deeper nesting is refused; the schema itself needs 6. */
const DEPTH_MAX = 32;
/** More values are refused: aliases can make a small file unfold into a huge one. */
const VALUES_MAX = 100_000;
/** Syntax errors after so many are mostly consequences of the first. */
const SYNTAX_PROBLEMS_MAX = 20;

interface Place {
  readonly key: Position | null;
  readonly value: Position;
}

/**
 * Reads YAML 1.2 into plain values. Variables of `env` are put into every text; keys without a value count as not there.
 * After a syntax error `value` is undefined, and the problems are only about the syntax.
 */
export function readYamlTree(source: string, env: Environment): YamlTree {
  const lines = new LineCounter();
  const document = parseDocument(source, { prettyErrors: false, lineCounter: lines, uniqueKeys: true });
  const reader = new TreeReader(source, document, lines, env);
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    const at = (offset: number): Position => reader.position(offset);
    const problems = faults
      .slice(0, SYNTAX_PROBLEMS_MAX)
      .map((error) => ({ path: [], ...explainYamlError(error, document, at) }));
    return reader.finish(undefined, problems);
  }
  return reader.finish(reader.read(document.contents, [], null, 0), []);
}

class TreeReader {
  readonly #source: string;
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;
  readonly #env: Environment;
  readonly #places = new Map<string, Place>();
  readonly #broken: TreePath[] = [];
  readonly #problems: Remark[] = [];
  readonly #warnings: Remark[] = [];
  #valuesLeft = VALUES_MAX;
  #gaveUp = false;

  constructor(source: string, document: Document.Parsed, lines: LineCounter, env: Environment) {
    this.#source = source;
    this.#document = document;
    this.#lines = lines;
    this.#env = env;
  }

  position(offset: number): Position {
    const { line, col } = this.#lines.linePos(Math.max(0, Math.min(offset, this.#source.length)));
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  /**
   * @param key where the key of this value is written, null in a list
   * @param alias where the alias is written that led here, null when none did
   */
  read(node: Node | null, path: TreePath, key: Position | null, depth: number, alias: Position | null = null): unknown {
    const at = alias ?? this.#startOf(node, key);
    this.#places.set(keyOf(path), { key, value: at });
    this.#valuesLeft -= 1;
    if (depth > DEPTH_MAX || this.#valuesLeft < 0) {
      return this.#giveUp(path, at);
    }
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      return target === undefined
        ? this.#breakAt(
            path,
            at,
            'refers to an anchor that does not exist; a text that begins with * must be in quotes',
          )
        : this.read(target, path, key, depth + 1, at);
    }
    if (isMap(node)) {
      return this.#readMap(node, path, depth, alias);
    }
    if (isSeq(node)) {
      return node.items.map((item, index) => this.read(nodeOf(item), [...path, index], null, depth + 1, alias));
    }
    return isScalar(node) ? this.#readScalar(node, path, at) : null;
  }

  finish(value: unknown, syntaxProblems: readonly Remark[]): YamlTree {
    const places = this.#places;
    const near = (path: TreePath): Position => {
      const own = places.get(keyOf(path));
      if (own !== undefined) {
        return own.value;
      }
      for (let length = path.length - 1; length > 0; length -= 1) {
        const around = places.get(keyOf(path.slice(0, length)));
        if (around !== undefined) {
          return around.key ?? around.value;
        }
      }
      return { line: 1, column: 1 };
    };
    return {
      value,
      problems: [...syntaxProblems, ...this.#problems],
      warnings: this.#warnings,
      positionOf: near,
      keyPositionOf: (path) => places.get(keyOf(path))?.key ?? near(path),
      has: (path) => places.has(keyOf(path)),
      isBroken: (path) => this.#broken.some((broken) => path.every((step, index) => broken[index] === step)),
    };
  }

  #startOf(node: Node | null, key: Position | null): Position {
    const start = node?.range?.[0];
    if (start === undefined) {
      return key ?? this.position(0);
    }
    // A mapping or a list begins on the line below its key: the key is what people look for.
    return key !== null && (isMap(node) || isSeq(node)) ? key : this.position(start);
  }

  #readMap(map: YAMLMap, path: TreePath, depth: number, alias: Position | null): unknown {
    // Without a prototype a key such as __proto__ is a key like any other.
    const result: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
    for (const pair of map.items) {
      const keyNode = nodeOf(pair.key);
      const key = alias ?? this.#startOf(keyNode, null);
      const name = isScalar(keyNode) ? keyText(keyNode.value) : null;
      if (name === null) {
        this.#problems.push({ at: key, path, message: 'the key of a mapping must be a text' });
        continue;
      }
      const node = nodeOf(pair.value);
      if (node === null || (isScalar(node) && node.value === null)) {
        this.#warnings.push({ at: key, path: [...path, name], message: this.#emptyMessage(keyNode?.range?.[1] ?? 0) });
      } else {
        result[name] = this.read(node, [...path, name], key, depth + 1, alias);
      }
    }
    return result;
  }

  #emptyMessage(keyEnd: number): string {
    const lineEnd = this.#source.indexOf('\n', keyEnd);
    const rest = this.#source.slice(keyEnd, lineEnd === -1 ? undefined : lineEnd);
    return rest.includes('#')
      ? 'has no value and is ignored; # begins a comment, so a text that begins with it must be in quotes'
      : 'has no value and is ignored';
  }

  #readScalar(scalar: Scalar, path: TreePath, at: Position): unknown {
    if (typeof scalar.value !== 'string') {
      return scalar.value;
    }
    const { text, problems } = interpolate(scalar.value, this.#env);
    for (const problem of problems) {
      const [start, end] = scalar.range ?? [0, 0];
      const offset = this.#source.slice(start, end).indexOf(problem.written);
      this.#breakAt(path, offset === -1 ? at : this.position(start + offset), problem.message);
    }
    return text;
  }

  /** Said once: a file that unfolds without end would say it without end. */
  #giveUp(path: TreePath, at: Position): undefined {
    if (this.#gaveUp) {
      return undefined;
    }
    this.#gaveUp = true;
    const message = this.#valuesLeft < 0 ? 'the file unfolds into too many values' : 'is nested too deeply';
    return this.#breakAt(path, at, message);
  }

  #breakAt(path: TreePath, at: Position, message: string): undefined {
    this.#broken.push(path);
    this.#problems.push({ at, path, message });
    return undefined;
  }
}

/** A key as text: `1` and `true` are keys like any other; null for what is none (a list, nothing). */
function keyText(value: unknown): string | null {
  if (typeof value === 'string') {
    return value;
  }
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}

function nodeOf(part: unknown): Node | null {
  return isNode(part) ? part : null;
}

function keyOf(path: TreePath): string {
  return JSON.stringify(path);
}
