import { cString, message } from './raw-messages.js';

/** Builders of what a node sends. */
export const node = {
  /** RowDescription without columns. */
  columns: (): Buffer => message('T', Buffer.from([0, 0])),
  /** DataRow with a body of so many bytes. */
  row: (bodyBytes = 2): Buffer => message('D', Buffer.alloc(bodyBytes)),
  complete: (tag = 'SELECT 1'): Buffer => message('C', cString(tag)),
  ready: (status: 'I' | 'T' | 'E' = 'I'): Buffer => message('Z', Buffer.from(status)),
  error: (
    sqlState: string,
    text = 'no',
    more: { readonly severity?: string; readonly routine?: string } = {},
  ): Buffer => fields('E', more.severity ?? 'ERROR', sqlState, text, more.routine ?? 'fn'),
  notice: (text: string): Buffer => fields('N', 'NOTICE', '00000', text, 'fn'),
  parameter: (name: string, value: string): Buffer => message('S', cString(name), cString(value)),
  parsed: (): Buffer => message('1'),
  bound: (): Buffer => message('2'),
  parameters: (): Buffer => message('t', Buffer.from([0, 0])),
  noData: (): Buffer => message('n'),
} as const;

function fields(type: string, severity: string, sqlState: string, text: string, routine: string): Buffer {
  const all = { S: severity, V: severity, C: sqlState, M: text, R: routine };
  return message(type, ...Object.entries(all).map(([field, value]) => cString(field + value)), Buffer.from([0]));
}

/**
 * The messages in `bytes` as words: the type; with the SQLSTATE of an error, the text of a notice, the status of ReadyForQuery, the tag of a
 * command, the text of a query, the name and value of a parameter. `rest`: bytes that are no whole message.
 */
export function wordsOf(bytes: Buffer): string {
  const words: string[] = [];
  let at = 0;
  for (; at + 5 <= bytes.length && at + 1 + bytes.readUInt32BE(at + 1) <= bytes.length; ) {
    const type = bytes.toString('latin1', at, at + 1);
    const body = bytes.toString('latin1', at + 5, at + 1 + bytes.readUInt32BE(at + 1));
    words.push(type + detailOf(type, body));
    at += 1 + bytes.readUInt32BE(at + 1);
  }
  if (at < bytes.length) words.push('rest');
  return words.join(' ');
}

function detailOf(type: string, body: string): string {
  switch (type) {
    case 'E':
      // An Execute of a client has the same letter.
      return /\0C(\w{5})\0/.exec(body)?.[1] ?? '';
    case 'N':
      return `(${/\0M([^\0]*)/.exec(body)?.[1] ?? ''})`;
    case 'Z':
      return body;
    case 'Q':
    case 'C':
    case 'S':
      return body === '' ? '' : `(${body.slice(0, -1).replaceAll('\0', '=')})`;
    default:
      return '';
  }
}
