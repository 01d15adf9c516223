import { Frontend } from '../../protocol/codes.js';
import { message } from '../state/own-messages.js';
import { readBindNames, readName } from '../state/bind-names.js';

/** The first byte of a Describe of a statement. */
const STATEMENT = 0x53;

/**
 * The whole Bind or Describe of a statement with the body `buffer[start, end)`, borrowed, under the other name that the statement has; null:
 * it has none. `names`: the other ones, by those of the session.
 */
export function withOtherName(
  type: number,
  buffer: Buffer,
  start: number,
  end: number,
  names: ReadonlyMap<string, string>,
): Buffer | null {
  if (type === Frontend.Bind) {
    const [portal, statement] = readBindNames(buffer, start, end) ?? ['', ''];
    const other = names.get(statement);
    if (other === undefined) return null;
    const rest = start + portal.length + 1 + statement.length;
    return message(type, `${portal}\0${other}`, buffer.subarray(rest, end));
  }
  if (buffer[start] !== STATEMENT) return null;
  const other = names.get(readName(buffer, start + 1, end) ?? '');
  return other === undefined ? null : message(type, `S${other}\0`);
}
