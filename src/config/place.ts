/** A way into the configuration: keys of mappings and indexes of lists. */
export type TreePath = readonly (string | number)[];

/** A place in a file; both counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Something said about a place in the file. */
export interface Remark {
  readonly at: Position;
  readonly path: TreePath;
  readonly message: string;
}

/** `listeners[1].route` */
export function formatPath(path: TreePath): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : (index === 0 ? '' : '.') + step)).join('');
}
