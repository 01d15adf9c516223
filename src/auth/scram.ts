import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { preparePassword } from './saslprep.js';

/**
 * The arithmetic of SCRAM-SHA-256 (RFC 5802, RFC 7677) and the form in which PostgreSQL stores what a server needs of a password
 * (documentation of `pg_authid`).
 */

export const SCRAM_SHA_256 = 'SCRAM-SHA-256';
export const SCRAM_SHA_256_PLUS = 'SCRAM-SHA-256-PLUS';
/** The only channel binding that PostgreSQL knows (RFC 5929): a hash of the server's certificate. */
export const CHANNEL_BINDING_TYPE = 'tls-server-end-point';

/** Length of every key, signature and proof. */
export const SCRAM_KEY_BYTES = 32;
/** Length of a salt and of the random part of a nonce, as PostgreSQL makes them. */
export const SCRAM_SALT_BYTES = 16;
export const SCRAM_NONCE_BYTES = 18;
/** PostgreSQL's default of `scram_iterations`. */
export const SCRAM_ITERATIONS_DEFAULT = 4096;
/** Most iterations that we compute, about a second's work: a node must not be able to keep us busy with more. */
export const SCRAM_ITERATIONS_MAX = 2_000_000;
/** Longest SASL message (PostgreSQL's PG_MAX_SASL_MESSAGE_LENGTH). */
export const SASL_MESSAGE_BYTES_MAX = 1024;

/** Most iterations that a verifier can name: PostgreSQL keeps them in a signed 32-bit integer. */
export const SCRAM_ITERATIONS_LIMIT = 2_147_483_647;
const VERIFIER_PATTERN = /^SCRAM-SHA-256\$([1-9][0-9]{0,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/;

const pbkdf2Async = promisify(pbkdf2);

/** With what a password is salted. Neither is secret. */
export interface ScramParameters {
  readonly salt: Buffer;
  readonly iterations: number;
}

/** {@link deriveScramKeys}, or the same with a limit on how many run at once. */
export type DeriveScramKeys = (password: Buffer, parameters: ScramParameters) => Promise<ScramKeys>;

/** What follows from a password, a salt and an iteration count. Whoever has the ClientKey can log in. */
export class ScramKeys {
  readonly #clientKey: Buffer;
  readonly #storedKey: Buffer;
  readonly #serverKey: Buffer;

  constructor(clientKey: Buffer, storedKey: Buffer, serverKey: Buffer) {
    this.#clientKey = clientKey;
    this.#storedKey = storedKey;
    this.#serverKey = serverKey;
  }

  get clientKey(): Buffer {
    return this.#clientKey;
  }

  get storedKey(): Buffer {
    return this.#storedKey;
  }

  get serverKey(): Buffer {
    return this.#serverKey;
  }
}

/** What a server stores of a password: enough to check a log-in, not enough to make one. Still never shown. */
export class ScramVerifier implements ScramParameters {
  readonly #salt: Buffer;
  readonly #iterations: number;
  readonly #storedKey: Buffer;
  readonly #serverKey: Buffer;

  constructor(parameters: ScramParameters, storedKey: Buffer, serverKey: Buffer) {
    this.#salt = parameters.salt;
    this.#iterations = parameters.iterations;
    this.#storedKey = storedKey;
    this.#serverKey = serverKey;
  }

  get salt(): Buffer {
    return this.#salt;
  }

  get iterations(): number {
    return this.#iterations;
  }

  get storedKey(): Buffer {
    return this.#storedKey;
  }

  get serverKey(): Buffer {
    return this.#serverKey;
  }

  /** Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`; null when it is not of that form. */
  static parse(text: string): ScramVerifier | null {
    const match = VERIFIER_PATTERN.exec(text);
    if (match === null) {
      return null;
    }
    const [, iterationsText = '', saltText = '', storedText = '', serverText = ''] = match;
    const iterations = Number(iterationsText);
    const salt = decodeBase64(saltText);
    const storedKey = decodeBase64(storedText);
    const serverKey = decodeBase64(serverText);
    const isWhole =
      iterations <= SCRAM_ITERATIONS_LIMIT &&
      salt !== null &&
      storedKey?.length === SCRAM_KEY_BYTES &&
      serverKey?.length === SCRAM_KEY_BYTES;
    return isWhole ? new ScramVerifier({ salt, iterations }, storedKey, serverKey) : null;
  }

  /** The text that {@link ScramVerifier.parse} reads. It is a secret. */
  format(): string {
    const salt = this.#salt.toString('base64');
    const keys = `${this.#storedKey.toString('base64')}:${this.#serverKey.toString('base64')}`;
    return `${SCRAM_SHA_256}$${this.#iterations}:${salt}$${keys}`;
  }
}

/**
 * Computes the keys in a thread of libuv's pool; it takes about 0.3 microseconds for each iteration.
 * @param password as typed, not prepared; borrowed until the promise settles
 * @throws RangeError for more than {@link SCRAM_ITERATIONS_MAX} iterations
 */
export async function deriveScramKeys(password: Buffer, parameters: ScramParameters): Promise<ScramKeys> {
  const { salt, iterations } = parameters;
  if (iterations > SCRAM_ITERATIONS_MAX) {
    throw new RangeError(`${iterations} SCRAM iterations are more than ${SCRAM_ITERATIONS_MAX}`);
  }
  const saltedPassword = await pbkdf2Async(preparePassword(password), salt, iterations, SCRAM_KEY_BYTES, 'sha256');
  const clientKey = hmac(saltedPassword, 'Client Key');
  return new ScramKeys(clientKey, storedKeyOf(clientKey), hmac(saltedPassword, 'Server Key'));
}

export function verifierOf(keys: ScramKeys, parameters: ScramParameters): ScramVerifier {
  return new ScramVerifier(parameters, keys.storedKey, keys.serverKey);
}

/** StoredKey := H(ClientKey) */
export function storedKeyOf(clientKey: Buffer): Buffer {
  return createHash('sha256').update(clientKey).digest();
}

/**
 * ClientProof := ClientKey XOR HMAC(StoredKey, AuthMessage). Being an exclusive or, it also gives the ClientKey of a proof.
 * @param authMessage its characters are bytes (latin1), as in all SCRAM messages here
 */
export function proofOrKey(keyOrProof: Buffer, storedKey: Buffer, authMessage: string): Buffer {
  const out = hmac(storedKey, authMessage);
  for (let i = 0; i < out.length; i++) {
    out[i] = (out[i] ?? 0) ^ (keyOrProof[i] ?? 0);
  }
  return out;
}

/** ServerSignature := HMAC(ServerKey, AuthMessage) */
export function serverSignature(serverKey: Buffer, authMessage: string): Buffer {
  return hmac(serverKey, authMessage);
}

/** Compares in a time that tells nothing about where the two differ; only a difference in length shows. */
export function equalSecrets(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Decodes the one right base64 form (RFC 4648) of some bytes; null for everything else. */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

function hmac(key: Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data, 'latin1').digest();
}
