/** What reading one value gave: the value, or one sentence about what is wrong with it. */
export type Reading<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** A reading that failed. */
export function wrong(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
