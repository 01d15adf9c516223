import { isLiveKey } from './config-keys.js';
import { type SchemaLeaf, type SchemaNode, schemaLeaves, schemaNodeAt, schemaTree } from './schema-tree.js';

const INTRODUCTION = `# Configuration

<!-- Generated from src/config by \`node dist/src/config/write-docs.js\`; changes made here are lost. -->

One YAML file. [config/example.yaml](../config/example.yaml) is a complete one for a Patroni cluster, and
[config/switchyard.schema.json](../config/switchyard.schema.json) lets editors complete and check the file:
\`# yaml-language-server: $schema=switchyard.schema.json\` as its first line is enough where the schema lies beside it.

- **Durations** carry their unit: \`250ms\`, \`10s\`, \`5m\`, \`1h\`, \`1d\`. Only \`0\` needs none.
- **Sizes** carry theirs: \`64kB\`, \`16MB\`, \`1GB\`. They are powers of 1024, as in PostgreSQL.
- **\`\${NAME}\`** inside any text is replaced by that environment variable, \`\${NAME:-default}\` by the default where it is not set
  or empty. \`$$\` stands for \`$\`; any other \`$\` stays as it is. A variable that is not set is an error.
- **Secrets** can stay out of the file: every \`password\` has a \`password_file\` beside it, whose content is the password (one
  newline at its end is taken off). Paths begin at the folder of the configuration file.
- **A mistake** is reported with line and column and what was likely meant; all mistakes of a file are reported together, and a
  file with a mistake is not used at all. What is legal but likely not meant is a warning.
- **Live** says whether a new value takes effect when the file is read again; the others need a restart.
`;

interface Group {
  readonly title: string;
  readonly description: string;
  readonly leaves: readonly SchemaLeaf[];
}

/** `docs/configuration.md`: every key with its type, default and meaning. */
export function renderReference(): string {
  const tree = schemaTree();
  return [INTRODUCTION, ...groupsOf(tree).map(renderGroup)].join('\n');
}

function groupsOf(tree: SchemaNode): readonly Group[] {
  const byParent = new Map<string, SchemaLeaf[]>();
  for (const leaf of schemaLeaves(tree)) {
    const parent = leaf.key.slice(0, leaf.key.lastIndexOf('.'));
    byParent.set(parent, [...(byParent.get(parent) ?? []), leaf]);
  }
  return [...byParent].map(([title, leaves]) => ({ title, leaves, description: describe(tree, title) }));
}

/** The description of a mapping, or of the list that the mapping is an entry of. */
function describe(tree: SchemaNode, title: string): string {
  const path = title.replace(/\[\]$/, '').split('.');
  return schemaNodeAt(tree, path)?.description ?? '';
}

function renderGroup(group: Group): string {
  const level = group.title.includes('.') ? '###' : '##';
  const rows = group.leaves.map((leaf) => renderRow(leaf, group.title));
  const head = ['| Key | Value | Default | Live | Meaning |', '|---|---|---|---|---|'];
  return [`${level} ${group.title}`, '', group.description, '', ...head, ...rows, ''].join('\n');
}

function renderRow(leaf: SchemaLeaf, title: string): string {
  const cells = [
    `\`${leaf.key.slice(title.length + 1)}\``,
    leaf.node.enum?.map((choice) => `\`${String(choice)}\``).join(', ') ?? leaf.node['x-type'] ?? '',
    leaf.required ? '*required*' : showDefault(leaf.node.default),
    isLiveKey(leaf.key) === true ? 'yes' : 'no',
    leaf.node.description ?? '',
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function showDefault(value: unknown): string {
  if (value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)) {
    return '';
  }
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}
