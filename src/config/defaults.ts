import { schemaLeaves, schemaTree } from './schema-tree.js';

/** What stands for a key that is left out, by the key of the schema (`listeners[].route`), as people write it. Takes some milliseconds. */
export function configDefaults(): ReadonlyMap<string, string> {
  const defaults = new Map<string, string>();
  for (const { key, node } of schemaLeaves(schemaTree())) {
    const value = node.default;
    if (typeof value === 'string') defaults.set(key, value);
    else if (typeof value === 'number' || typeof value === 'boolean') defaults.set(key, String(value));
  }
  return defaults;
}
