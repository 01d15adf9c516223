/** The names of the portal and of the statement in the body of a Bind, one character for each byte; null: it is not whole. */
export function readBindNames(
  buffer: Buffer,
  start: number,
  end: number,
): readonly [portal: string, statement: string] | null {
  const portal = readName(buffer, start, end);
  if (portal === null) return null;
  const statement = readName(buffer, start + portal.length + 1, end);
  return statement === null ? null : [portal, statement];
}

/** A name that ends with a zero byte; null: it does not end. */
export function readName(buffer: Buffer, start: number, end: number): string | null {
  if (buffer[start] === 0 && start < end) return '';
  const nameEnd = buffer.indexOf(0, start);
  return nameEnd < 0 || nameEnd >= end ? null : buffer.toString('latin1', start, nameEnd);
}
