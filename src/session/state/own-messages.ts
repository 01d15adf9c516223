import { serialize } from 'pg-protocol';
import { Frontend } from '../../protocol/codes.js';

const HEADER_BYTES = 5;
/** Our own statement and portal: the unnamed ones are the client's. */
const OWN_NAME = 'switchyard_replay';

/** Messages, and their types in order. */
export interface Messages {
  readonly bytes: readonly Buffer[];
  readonly types: readonly number[];
}

/** Close of a statement. Names are bytes, one character each. */
export function closeMessage(name: string): Buffer {
  return message(Frontend.Close, `S${name}\0`);
}

/** Parse of a text that runs nothing and takes so many parameters. */
export function emptyParse(name: string, parameters: number): Buffer {
  const types = Buffer.alloc(2 + 4 * parameters);
  types.writeUInt16BE(parameters, 0);
  for (let i = 0; i < parameters; i += 1) types.writeUInt32BE(INT4, 2 + 4 * i);
  return message(Frontend.Parse, `${name}\0\0`, types);
}

/** Runs a statement (one character for each byte) to its Sync, and leaves the unnamed statement and portal alone. */
export function statementMessages(sql: string): Messages {
  const { Close, Parse, Bind, Execute, Sync } = Frontend;
  return {
    bytes: [
      // An error would have left out what closes them behind it.
      ...closeOwn,
      message(Parse, `${OWN_NAME}\0${sql}\0`, Buffer.alloc(2)),
      message(Bind, `${OWN_NAME}\0${OWN_NAME}\0`, Buffer.alloc(6)),
      message(Execute, `${OWN_NAME}\0`, Buffer.alloc(4)),
      serialize.sync(),
    ],
    types: [Close, Close, Parse, Bind, Execute, Sync],
  };
}

/** Takes away what the former has left. */
export function tidyUpMessages(): Messages {
  return { bytes: [...closeOwn, serialize.sync()], types: [Frontend.Close, Frontend.Close, Frontend.Sync] };
}

/** The object identifier of the type `integer`. */
const INT4 = 23;

const closeOwn: readonly Buffer[] = [closeMessage(OWN_NAME), message(Frontend.Close, `P${OWN_NAME}\0`)];

/** The whole message; `text`: one character for each byte. */
export function message(type: number, text: string, rest: Buffer | null = null): Buffer {
  const out = Buffer.alloc(HEADER_BYTES + text.length + (rest?.length ?? 0));
  out.writeUInt8(type, 0);
  out.writeInt32BE(out.length - 1, 1);
  out.write(text, HEADER_BYTES, 'latin1');
  rest?.copy(out, HEADER_BYTES + text.length);
  return out;
}
