import { saslprep } from '@mongodb-js/saslprep';

/**
 * Characters that PostgreSQL refuses but that normalization turns into allowed ones: PostgreSQL looks for unassigned characters
 * (Unicode 3.2, RFC 3454 table A.1) and for U+0340, U+0341 (table C.8) before it normalizes, the library afterwards.
 */
const REFUSED_BEFORE_NORMALIZATION =
  /[\u0340\u0341\u03f7-\u03ff\u10fc-\u10ff\u18aa-\u1dff\u208f-\u209f\u213b-\u213c\u214c-\u2152\u2184-\u218f\u2b00-\u2e7f\u321d-\u321f\u3244-\u3250\u327c-\u327e\u32cc-\u32cf\u32ff\u3377-\u337a\u33de-\u33df\u33ff\ua4c7-\uabff\ufa2e-\ufa2f\ufa6b-\ufaff\ufe10-\ufe1f\ufe47-\ufe48\u{1044e}-\u{1cfff}\u{1d4c1}\u{1d6a4}-\u{1d6a7}\u{1d7ca}-\u{1d7cd}\u{1d800}-\u{1ffff}]/u;

const ASCII_MAX = 0x7f;

/**
 * The bytes of a password as SCRAM hashes them, the way PostgreSQL prepares them (src/common/saslprep.c): ASCII stays as it is; UTF-8
 * is put through SASLprep (RFC 4013); what is not UTF-8, or is refused by SASLprep, stays as it is too.
 *
 * One known difference is left: PostgreSQL also judges the writing direction before it normalizes, so a password that mixes Hebrew or
 * Arabic letters with a sign that normalizes to Latin ones (such as U+2116) is prepared there and taken as it is here.
 *
 * @param password borrowed; the result may be this very buffer
 */
export function preparePassword(password: Buffer): Buffer {
  if (isAscii(password)) {
    return password;
  }
  const text = decodeUtf8(password);
  if (text === null || REFUSED_BEFORE_NORMALIZATION.test(text)) {
    return password;
  }
  try {
    const prepared = saslprep(text);
    return prepared === '' ? password : Buffer.from(prepared, 'utf8');
  } catch {
    // Refused: a prohibited or unassigned character, or a forbidden mix of writing directions.
    return password;
  }
}

function isAscii(bytes: Buffer): boolean {
  return bytes.every((byte) => byte <= ASCII_MAX);
}

function decodeUtf8(bytes: Buffer): string | null {
  try {
    // A byte order mark is a character like others: SASLprep maps it to nothing.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
