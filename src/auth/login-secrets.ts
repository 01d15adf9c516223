import { createHmac, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { assertNever } from '../util/assert-never.js';
import { md5Hash, md5Response } from './md5.js';
import {
  SCRAM_ITERATIONS_DEFAULT,
  SCRAM_ITERATIONS_MAX,
  SCRAM_SALT_BYTES,
  type DeriveScramKeys,
  type ScramParameters,
  ScramVerifier,
  equalSecrets,
  verifierOf,
} from './scram.js';
import type { UserSecret } from './user-secret.js';

const MOCK_SECRET_BYTES = 32;
/** So much room is for derived verifiers: about 10,000 of them. A client can make up names of up to 10 kB. */
const DERIVED_BYTES_MAX = 4_000_000;
/** About what one takes, but for its name. */
const DERIVED_BYTES = 400;

/** What a `KeyDeriver` is here. */
export interface ScramKeyDeriver {
  readonly derive: DeriveScramKeys;
}

/** What one SCRAM exchange is checked against. */
export interface ExchangeVerifier {
  readonly verifier: ScramVerifier;
  /** It must fail, whatever the client proves. */
  readonly isDoomed: boolean;
}

interface Derived {
  /** Tells whether the password has changed, without keeping it. */
  readonly tag: Buffer;
  readonly verifier: Promise<ScramVerifier>;
}

/**
 * Checks what clients send against what is known of the user, so that a user who does not exist cannot be told from one who does,
 * neither by the answers nor by their time. One for each process.
 */
export class LoginSecrets {
  readonly #deriver: ScramKeyDeriver;
  readonly #mockSecret: Buffer;
  readonly #derived: LRUCache<string, Derived>;

  /**
   * @param mockSecret from which the salts of unknown users follow; processes that serve the same address need the same one, or the
   * salt of an unknown user would change from one try to the next
   */
  constructor(deriver: ScramKeyDeriver, mockSecret: Buffer = randomBytes(MOCK_SECRET_BYTES)) {
    this.#deriver = deriver;
    this.#mockSecret = mockSecret;
    this.#derived = new LRUCache({
      maxSize: DERIVED_BYTES_MAX,
      sizeCalculation: (_derived, user) => DERIVED_BYTES + user.length,
    });
  }

  /**
   * The verifier for a SCRAM exchange: the stored one, one that is derived from a known password, or a mock.
   * @param hasPlainSecrets some users are known by their password. The first exchange of such a user waits for a derivation, so that
   * of every user name has to.
   */
  async scramVerifier(user: string, secret: UserSecret, hasPlainSecrets: boolean): Promise<ExchangeVerifier> {
    if (secret.kind === 'plain') {
      return { verifier: await this.#derive(user, secret.password), isDoomed: false };
    }
    const mock = hasPlainSecrets
      ? await this.#derive(user, this.#digest('password', Buffer.from(user)))
      : this.#mockVerifier(user);
    return secret.kind === 'scram'
      ? { verifier: secret.verifier, isDoomed: false }
      : { verifier: mock, isDoomed: true };
  }

  /**
   * Checks a password that came in clear. Null: it is right; otherwise why not, for our own log. Every refusal takes one derivation.
   * @param password borrowed until the promise settles
   */
  async checkPassword(user: string, secret: UserSecret, password: Buffer): Promise<string | null> {
    if (secret.kind === 'scram') {
      const { verifier } = secret;
      if (verifier.iterations > SCRAM_ITERATIONS_MAX) {
        return `The verifier of user "${user}" has more than ${SCRAM_ITERATIONS_MAX} iterations: it can be used with scram-sha-256 only.`;
      }
      const keys = await this.#deriver.derive(password, verifier);
      return equalSecrets(keys.storedKey, verifier.storedKey) ? null : mismatch(user);
    }
    const refusal = this.#comparePassword(user, secret, password);
    if (refusal !== null) {
      await this.#deriver.derive(password, this.#mockParameters(user));
    }
    return refusal;
  }

  /** Checks the answer to an AuthenticationMD5Password. Null: it is right; otherwise why not, for our own log. */
  checkMd5Response(user: string, secret: UserSecret, salt: Buffer, response: string): string | null {
    const hash = this.#md5HashOf(user, secret);
    const isRight = equalSecrets(Buffer.from(md5Response(hash, salt), 'latin1'), Buffer.from(response, 'latin1'));
    if (secret.kind === 'none') {
      return secret.explain(user);
    }
    if (secret.kind === 'scram') {
      return `User "${user}" has a password that cannot be used with MD5 authentication.`;
    }
    return isRight ? null : mismatch(user);
  }

  #comparePassword(user: string, secret: Exclude<UserSecret, { kind: 'scram' }>, password: Buffer): string | null {
    switch (secret.kind) {
      case 'plain':
        // Digests, so that not even the length of the right one shows.
        return equalSecrets(this.#digest('tag', secret.password), this.#digest('tag', password))
          ? null
          : mismatch(user);
      case 'md5':
        return equalSecrets(Buffer.from(secret.hash), Buffer.from(md5Hash(password, user))) ? null : mismatch(user);
      case 'none':
        return secret.explain(user);
      default:
        return assertNever(secret);
    }
  }

  #md5HashOf(user: string, secret: UserSecret): string {
    switch (secret.kind) {
      case 'md5':
        return secret.hash;
      case 'plain':
        return md5Hash(secret.password, user);
      case 'scram':
      case 'none':
        return md5Hash(this.#digest('password', Buffer.from(user)), user);
      default:
        return assertNever(secret);
    }
  }

  #derive(user: string, password: Buffer): Promise<ScramVerifier> {
    const tag = this.#digest('tag', password);
    const known = this.#derived.get(user);
    if (known !== undefined && equalSecrets(known.tag, tag)) {
      return known.verifier;
    }
    const parameters = this.#mockParameters(user);
    const verifier = this.#deriver.derive(password, parameters).then((keys) => verifierOf(keys, parameters));
    const derived = { tag, verifier };
    this.#derived.set(user, derived);
    verifier.catch(() => {
      // The caller gets the error; the next log-in must be able to try again.
      if (this.#derived.peek(user) === derived) {
        this.#derived.delete(user);
      }
    });
    return verifier;
  }

  #mockVerifier(user: string): ScramVerifier {
    const name = Buffer.from(user);
    return new ScramVerifier(this.#mockParameters(user), this.#digest('stored', name), this.#digest('server', name));
  }

  /** The same for a user name as long as the process lives, as the salt of a stored verifier is. */
  #mockParameters(user: string): ScramParameters {
    const salt = this.#digest('salt', Buffer.from(user)).subarray(0, SCRAM_SALT_BYTES);
    return { salt, iterations: SCRAM_ITERATIONS_DEFAULT };
  }

  #digest(purpose: 'salt' | 'password' | 'stored' | 'server' | 'tag', data: Buffer): Buffer {
    return createHmac('sha256', this.#mockSecret).update(`${purpose}\0`).update(data).digest();
  }
}

function mismatch(user: string): string {
  return `Password does not match for user "${user}".`;
}
