import type { z } from 'zod';
import type { Remark, TreePath } from './place.js';
import { type SchemaNode, schemaLeaves, schemaNodeAt } from './schema-tree.js';
import { suggest } from './suggest.js';
import type { YamlTree } from './yaml-tree.js';

/** Keys whose values never appear in a message. */
const SECRET_KEYS: ReadonlySet<string> = new Set(['password', 'verifier']);
/** More of a wrong value is not shown. */
const SHOWN_LENGTH_MAX = 60;

const TYPE_WORDS: ReadonlyMap<string, string> = new Map([
  ['string', 'a text'],
  // Every number of the schema is whole.
  ['number', 'a whole number'],
  ['int', 'a whole number'],
  ['boolean', 'true or false'],
  ['object', 'a mapping of keys'],
  ['array', 'a list'],
]);

/** zod's error map: says what is wrong with a value in our words. */
export function wordIssue(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : wordType(issue.expected, issue.input, isSecret(issue.path));
    case 'invalid_value':
      return wordChoice(issue.values.map(String), issue.input);
    case 'too_small':
      return wordBound('at least', Number(issue.minimum), issue.origin, issue.input);
    case 'too_big':
      return wordBound('at most', Number(issue.maximum), issue.origin, issue.input);
    default:
      return undefined;
  }
}

/** What zod found, at the places of the file, without what only follows from values that could not be made out. */
export function explainIssues(
  issues: readonly z.core.$ZodIssue[],
  schema: SchemaNode,
  tree: YamlTree,
): readonly Remark[] {
  const remarks: Remark[] = [];
  for (const issue of issues) {
    const path = issue.path.map((step) => (typeof step === 'symbol' ? step.toString() : step));
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        const keyPath = [...path, key];
        remarks.push({ at: tree.keyPositionOf(keyPath), path: keyPath, message: wordUnknownKey(schema, path, key) });
      }
    } else if (!tree.isBroken(path)) {
      remarks.push({ at: tree.positionOf(path), path, message: issue.message });
    }
  }
  return remarks;
}

function wordUnknownKey(schema: SchemaNode, path: TreePath, key: string): string {
  const known = Object.keys(schemaNodeAt(schema, path)?.properties ?? {});
  const slip = suggest(key, known, 1);
  if (slip !== null) {
    return `is not a known key; did you mean "${slip}"?`;
  }
  const elsewhere = placeOf(schema, key);
  if (elsewhere !== null) {
    return `is not a known key here; did you mean "${elsewhere}"?`;
  }
  const near = suggest(key, known);
  return near === null
    ? `is not a known key; known here: ${known.join(', ')}`
    : `is not a known key; did you mean "${near}"?`;
}

/** Where else in the schema a key of this name stands: `promotion.hold_timeout`; null when there is none. */
function placeOf(schema: SchemaNode, key: string): string | null {
  for (const leaf of schemaLeaves(schema)) {
    const steps = leaf.key.split('.');
    const depth = steps.findIndex((step) => step === key || step === `${key}[]`);
    if (depth !== -1) {
      return [...steps.slice(0, depth), key].join('.');
    }
  }
  return null;
}

function wordType(expected: string, input: unknown, secret: boolean): string {
  const words = TYPE_WORDS.get(expected) ?? expected;
  if (expected === 'string' && (typeof input === 'number' || typeof input === 'boolean')) {
    return `must be ${words}: put it in quotes`;
  }
  return secret ? `must be ${words}` : `must be ${words}, not ${show(input)}`;
}

function wordChoice(choices: readonly string[], input: unknown): string {
  if (input === undefined) {
    return `is required: ${choices.join(', ')}`;
  }
  const near = typeof input === 'string' ? suggest(input, choices) : null;
  const meant = near === null ? '' : `; did you mean "${near}"?`;
  return `${show(input)} is not one of ${choices.join(', ')}${meant}`;
}

function wordBound(word: string, bound: number, origin: string, input: unknown): string {
  switch (origin) {
    case 'string':
      return 'must not be empty';
    case 'array':
      return `must have ${word} ${bound} ${bound === 1 ? 'entry' : 'entries'}`;
    default:
      return `must be ${word} ${bound}, not ${show(input)}`;
  }
}

function show(input: unknown): string {
  switch (typeof input) {
    case 'string':
      return `"${input.length > SHOWN_LENGTH_MAX ? `${input.slice(0, SHOWN_LENGTH_MAX)}...` : input}"`;
    case 'number':
    case 'boolean':
      return String(input);
    default:
      return input === null ? 'nothing' : Array.isArray(input) ? 'a list' : 'a mapping';
  }
}

function isSecret(path: readonly PropertyKey[] | undefined): boolean {
  const last = path?.at(-1);
  return typeof last === 'string' && SECRET_KEYS.has(last);
}
