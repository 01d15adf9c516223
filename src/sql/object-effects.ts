import type { DropStmt, RenameStmt } from 'libpg-query';
import type { EffectList } from './effect-list.js';
import { PinReason } from './pin-reason.js';
import { isTemporarySchema, nameParts } from './tree-scan.js';

/** Kinds of relations that can be temporary; their names are one name space. */
const relations: ReadonlySet<string> = new Set(['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_SEQUENCE']);

/** DROP of relations, of which some may be temporary: these are found first, unless another schema is named. */
export function noteDrop({ removeType = 'OBJECT_TABLE', objects = [] }: DropStmt, found: EffectList): void {
  if (!relations.has(removeType)) return;
  for (const object of objects) {
    const parts = 'List' in object ? nameParts(object.List.items) : [];
    const name = parts.at(-1);
    if (name !== undefined && isMaybeTemporary(parts.slice(0, -1))) found.unpin(PinReason.TemporaryObject, name);
  }
}

/**
 * A temporary relation has another name from now on. Whether it is one cannot be told where no schema is named; and to hold it for one is
 * the only way not to lose it, because its old name is free now.
 */
export function noteRename(
  { renameType = 'OBJECT_COLUMN', relation, newname: name }: RenameStmt,
  found: EffectList,
): void {
  if (!relations.has(renameType) || relation === undefined || name === undefined) return;
  const schema = relation.schemaname === undefined ? [] : [relation.schemaname];
  if (isMaybeTemporary(schema)) found.pin(PinReason.TemporaryObject, name);
}

function isMaybeTemporary(schema: readonly string[]): boolean {
  return schema.every(isTemporarySchema);
}
