/** Ends a `switch` over a union: a compile error when a case is missing, an exception if one comes in at run time. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${String(value)}`);
}
