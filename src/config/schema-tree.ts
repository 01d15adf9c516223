import { z } from 'zod';
import { configSchema } from './schema.js';
import { wrong } from './reading.js';

/** The parts of a JSON Schema (draft 2020-12) that ours uses. */
export interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | SchemaNode;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly writeOnly?: boolean;
  /** Ours: the type in words for the documentation; taken out of the published schema. */
  readonly 'x-type'?: string;
}

/** One key of the file that is not only a mapping or list of others. */
export interface SchemaLeaf {
  /** `pool.size`, `listeners[].route`. */
  readonly key: string;
  readonly node: SchemaNode;
  readonly required: boolean;
}

/** The schema of the file as a JSON Schema, with our own words still in it. */
export function schemaTree(): SchemaNode {
  const files = { readSecret: () => wrong('not read'), checkFile: () => wrong('not read') };
  return z.toJSONSchema(configSchema(files), { io: 'input' }) as SchemaNode;
}

/** The mapping or value that stands at a place of the file; null when the schema has no such place. */
export function schemaNodeAt(tree: SchemaNode, path: readonly (string | number)[]): SchemaNode | null {
  let node: SchemaNode | undefined = tree;
  for (const step of path) {
    node = typeof step === 'number' ? node.items : ownProperty(node, step);
    if (node === undefined) {
      return null;
    }
  }
  return node;
}

/** Every key with a value of its own, in the order of the schema. */
export function schemaLeaves(tree: SchemaNode): readonly SchemaLeaf[] {
  const leaves: SchemaLeaf[] = [];
  const walk = (node: SchemaNode, key: string, required: boolean): void => {
    if (node.properties !== undefined) {
      for (const [name, child] of Object.entries(node.properties)) {
        walk(child, key === '' ? name : `${key}.${name}`, node.required?.includes(name) === true);
      }
    } else if (node.items?.properties !== undefined) {
      walk(node.items, `${key}[]`, true);
    } else {
      leaves.push({ key, node, required });
    }
  };
  walk(tree, '', true);
  return leaves;
}

function ownProperty(node: SchemaNode, name: string): SchemaNode | undefined {
  return node.properties !== undefined && Object.hasOwn(node.properties, name) ? node.properties[name] : undefined;
}
