/** A string that must not be mixed up with another kind of string. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };

/** The name of a node: Patroni's member name, or the name given in `cluster.nodes`. */
export type NodeName = Brand<string, 'NodeName'>;

/** Marks a string as a node's name; it is taken as it is. */
export function nodeName(name: string): NodeName {
  return name as NodeName;
}
