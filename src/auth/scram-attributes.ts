/** Makes the error for a message that is not as it must be, from one sentence. */
export type Complaint = (detail: string) => Error;

const ATTRIBUTE_NAME = /^[A-Za-z]$/;
/** RFC 5802, `printable`: printable ASCII but for the comma. */
const PRINTABLE = /^[\x21-\x2b\x2d-\x7e]*$/;

/** Refuses what no SCRAM message can be. */
export function checkScramText(text: string, complain: Complaint): void {
  if (text === '') {
    throw complain('The message is empty.');
  }
  if (text.includes('\0')) {
    throw complain('Message length does not match input length.');
  }
}

/**
 * Reads a SCRAM message, `a=value,b=value,...` (RFC 5802, section 7), attribute by attribute and as strictly as PostgreSQL. The
 * characters of the text are bytes (latin1).
 */
export class ScramAttributes {
  readonly #text: string;
  readonly #complain: Complaint;
  #at: number;

  constructor(text: string, complain: Complaint) {
    this.#text = text;
    this.#complain = complain;
    this.#at = 0;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Offset of the next attribute, or of the end. */
  get offset(): number {
    return this.#at;
  }

  /** The value of the next attribute, which must be this one. */
  value(name: string): string {
    const found = this.#text.charAt(this.#at);
    if (found !== name) {
      throw this.#complain(`Expected attribute "${name}" but found "${shownCharacter(found)}".`);
    }
    return this.any().value;
  }

  /** The next attribute, whatever it is. */
  any(): { readonly name: string; readonly value: string } {
    const name = this.#text.charAt(this.#at);
    if (name === '') {
      throw this.#complain('Attribute expected, but found end of string.');
    }
    if (!ATTRIBUTE_NAME.test(name)) {
      throw this.#complain(`Attribute expected, but found invalid character "${shownCharacter(name)}".`);
    }
    if (this.#text.charAt(this.#at + 1) !== '=') {
      throw this.#complain(`Expected character "=" for attribute "${name}".`);
    }
    const begin = this.#at + 2;
    const comma = this.#text.indexOf(',', begin);
    const end = comma === -1 ? this.#text.length : comma;
    this.#at = comma === -1 ? end : end + 1;
    return { name, value: this.#text.slice(begin, end) };
  }
}

export function isPrintable(text: string): boolean {
  return PRINTABLE.test(text);
}

/** A character of a peer (or '' for the end) for an error message: never more than printable ASCII. */
export function shownCharacter(character: string): string {
  if (character === '') {
    return '0x00';
  }
  const code = character.charCodeAt(0);
  return code >= 0x21 && code <= 0x7e ? character : `0x${code.toString(16).padStart(2, '0')}`;
}

/** At most 30 characters of a peer's text for an error message. */
export function shownText(text: string): string {
  return text.slice(0, 30).replace(/[^\x21-\x7e]/g, '?');
}
