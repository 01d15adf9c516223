/** The WITH queries that a part of a statement can see, the innermost first; null stands for none. */
export interface CteScope {
  readonly name: string;
  readonly outer: CteScope | null;
}

/** Whether a name without a schema is that of a WITH query there. */
export function isCte(name: string, scope: CteScope | null): boolean {
  for (let at = scope; at !== null; at = at.outer) if (at.name === name) return true;
  return false;
}
