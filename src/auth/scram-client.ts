import { randomBytes } from 'node:crypto';
import { SwitchyardError } from '../errors.js';
import { type PasswordCredentials, type ScramKeyCredentials, sameParameters } from './credentials.js';
import { ScramAttributes, checkScramText, isPrintable, shownText } from './scram-attributes.js';
import {
  type DeriveScramKeys,
  SCRAM_ITERATIONS_LIMIT,
  SCRAM_ITERATIONS_MAX,
  SCRAM_KEY_BYTES,
  SCRAM_NONCE_BYTES,
  type ScramKeys,
  type ScramParameters,
  decodeBase64,
  equalSecrets,
  proofOrKey,
  serverSignature,
} from './scram.js';

/** Gives the keys of an exchange, once the server has named salt and iterations; throws a `SwitchyardError` when there are none. */
export type ScramKeySource = (parameters: ScramParameters) => Promise<ScramKeys>;

/** The keys of a password. A node that asks for more work than {@link SCRAM_ITERATIONS_MAX} is refused. */
export function keysOfPassword(credentials: PasswordCredentials, derive: DeriveScramKeys): ScramKeySource {
  return (parameters) => {
    if (parameters.iterations > SCRAM_ITERATIONS_MAX) {
      throw new SwitchyardError('backend_login_failed', 'the node asks for too many SCRAM iterations', {
        detail: `It asks for ${parameters.iterations}; the limit is ${SCRAM_ITERATIONS_MAX}.`,
      });
    }
    return credentials.scramKeys(parameters, derive);
  };
}

/**
 * The keys of a client's own log-in. They fit one verifier only; when the node names the salt or iterations of another one (or of a
 * mock), the proof would be wrong, and the reason would be hard to find.
 */
export function recoveredKeys(credentials: ScramKeyCredentials, user: string): ScramKeySource {
  return async (parameters) => {
    if (!sameParameters(parameters, credentials.parameters)) {
      throw new SwitchyardError('backend_login_failed', `the SCRAM verifier of user "${user}" differs on this node`, {
        detail: 'Salt or iteration count are not those of the verifier that the client logged in with.',
        hint: 'If the password was changed, connect again. The verifier that the proxy knows must be the one that the nodes store.',
      });
    }
    return credentials.keys;
  };
}

/** GS2 header of a client that does not bind the exchange to its TLS connection (RFC 5802, section 7). */
const GS2_HEADER = 'n,,';

/**
 * The client's side of one SCRAM-SHA-256 exchange with a node. It proves that we have the keys, and checks that the node has the
 * verifier. Messages are texts whose characters are bytes (latin1).
 *
 * Broken messages are `backend_protocol_violation`; a node that cannot prove itself is `backend_login_failed`.
 */
export class ScramClient {
  readonly #keySource: ScramKeySource;
  readonly #clientNonce: string;
  #keys: ScramKeys | null;
  #authMessage: string;

  /** @param nonce our half of the nonce; only tests give one */
  constructor(keySource: ScramKeySource, nonce: string = randomBytes(SCRAM_NONCE_BYTES).toString('base64')) {
    this.#keySource = keySource;
    this.#clientNonce = nonce;
    this.#keys = null;
    this.#authMessage = '';
  }

  /** client-first-message. It names no user, as libpq's: PostgreSQL takes the one of the startup packet. */
  first(): string {
    return GS2_HEADER + this.#firstBare();
  }

  /** Takes the server-first-message and gives the client-final-message. */
  async final(serverFirst: string): Promise<string> {
    checkScramText(serverFirst, malformed);
    const attributes = new ScramAttributes(serverFirst, malformed);
    const nonce = attributes.value('r');
    if (!isPrintable(nonce) || !nonce.startsWith(this.#clientNonce) || nonce.length === this.#clientNonce.length) {
      throw malformed('Nonce does not match.');
    }
    const salt = decodeBase64(attributes.value('s'));
    if (salt === null || salt.length === 0) {
      throw malformed('Invalid salt.');
    }
    const iterations = readIterations(attributes.value('i'));
    while (!attributes.isAtEnd) {
      // Optional extensions.
      attributes.any();
    }
    const keys = await this.#keySource({ salt, iterations });
    const withoutProof = `c=${Buffer.from(GS2_HEADER, 'latin1').toString('base64')},r=${nonce}`;
    this.#authMessage = `${this.#firstBare()},${serverFirst},${withoutProof}`;
    this.#keys = keys;
    const proof = proofOrKey(keys.clientKey, keys.storedKey, this.#authMessage);
    return `${withoutProof},p=${proof.toString('base64')}`;
  }

  /** Checks the server-final-message: only who has the verifier can have made it. */
  verify(serverFinal: string): void {
    checkScramText(serverFinal, malformed);
    const attributes = new ScramAttributes(serverFinal, malformed);
    if (serverFinal.startsWith('e=')) {
      const message = `the node refused the SCRAM exchange: ${shownText(attributes.value('e'))}`;
      throw new SwitchyardError('backend_login_failed', message);
    }
    const signature = decodeBase64(attributes.value('v'));
    if (signature === null || signature.length !== SCRAM_KEY_BYTES) {
      throw malformed('Invalid server signature.');
    }
    if (this.#keys === null || !equalSecrets(signature, serverSignature(this.#keys.serverKey, this.#authMessage))) {
      throw new SwitchyardError('backend_login_failed', 'the node could not prove that it knows the password', {
        detail: 'Its SCRAM server signature is wrong.',
      });
    }
  }

  #firstBare(): string {
    return `n=,r=${this.#clientNonce}`;
  }
}

function readIterations(text: string): number {
  const iterations = /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : 0;
  if (iterations < 1 || iterations > SCRAM_ITERATIONS_LIMIT) {
    throw malformed('Invalid iteration count.');
  }
  return iterations;
}

function malformed(detail: string): SwitchyardError {
  return new SwitchyardError('backend_protocol_violation', 'malformed SCRAM message from the node', { detail });
}
