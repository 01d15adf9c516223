import { type SchemaNode, schemaTree } from './schema-tree.js';

/** Any text with a reference to the environment: what it becomes is only known when the program starts. */
const FROM_ENVIRONMENT: SchemaNode & { readonly pattern: string } = { type: 'string', pattern: '\\$\\{' };

/** The JSON Schema (draft 2020-12) of the configuration file, for editors. */
export function configJsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...rest } = schemaTree() as SchemaNode & { readonly $schema?: string };
  return { $schema, title: 'Switchyard configuration', ...publish(rest) };
}

function publish(node: SchemaNode): Readonly<Record<string, unknown>> {
  const { 'x-type': _words, ...own } = node;
  const { description, default: preset, ...constraint } = own;
  const inner: Readonly<Record<string, unknown>> = {
    ...constraint,
    ...(own.items === undefined ? {} : { items: publish(own.items) }),
    ...(own.properties === undefined ? {} : { properties: publishAll(own.properties) }),
  };
  return {
    ...(description === undefined ? {} : { description }),
    ...(preset === undefined ? {} : { default: preset }),
    ...(takesEnvironment(own) ? { anyOf: [inner, FROM_ENVIRONMENT] } : inner),
  };
}

function publishAll(properties: Readonly<Record<string, SchemaNode>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(properties).map(([name, child]) => [name, publish(child)]));
}

/** True for a single value that the schema would refuse to see as `${NAME}`. */
function takesEnvironment(node: SchemaNode): boolean {
  const isSingle = node.type !== 'object' && node.type !== 'array' && node.anyOf === undefined;
  const isAnyText =
    node.type === 'string' && node.enum === undefined && node.const === undefined && !('pattern' in node);
  return isSingle && !isAnyText;
}
