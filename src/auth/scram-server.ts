import { randomBytes } from 'node:crypto';
import { SwitchyardError } from '../errors.js';
import { ScramAttributes, checkScramText, isPrintable, shownCharacter, shownText } from './scram-attributes.js';
import {
  CHANNEL_BINDING_TYPE,
  SCRAM_KEY_BYTES,
  SCRAM_NONCE_BYTES,
  SCRAM_SHA_256,
  SCRAM_SHA_256_PLUS,
  type ScramVerifier,
  decodeBase64,
  equalSecrets,
  proofOrKey,
  serverSignature,
  storedKeyOf,
} from './scram.js';

/** The mechanisms to offer, the better one first. */
export function offeredMechanisms(channelBinding: Buffer | null): readonly string[] {
  return channelBinding === null ? [SCRAM_SHA_256] : [SCRAM_SHA_256_PLUS, SCRAM_SHA_256];
}

export interface ScramServerOptions {
  readonly verifier: ScramVerifier;
  /** The exchange is a mock: it must fail at the proof, whatever the proof is. */
  readonly isDoomed: boolean;
  /** `tls-server-end-point` of this connection (RFC 5929); null when SCRAM-SHA-256-PLUS was not offered. */
  readonly channelBinding: Buffer | null;
  /** Our half of the nonce; only tests give one. */
  readonly nonce?: string;
}

/** A proof that was right. */
export interface ScramAcceptance {
  /** server-final-message, to be sent in AuthenticationSASLFinal. */
  readonly serverFinal: string;
  /** The key that the client proved to have: it logs in to every server that holds the same verifier. */
  readonly clientKey: Buffer;
}

type BindingFlag = 'n' | 'y' | 'p';

/**
 * The server's side of one SCRAM-SHA-256 exchange (RFC 5802), with PostgreSQL's choices (src/backend/libpq/auth-scram.c): the user
 * name inside the messages is ignored, authorization identities and mandatory extensions are refused.
 *
 *   client: [n|y|p=type],,n=...,r=<client nonce>              -> {@link first}
 *   server: r=<both nonces>,s=<salt>,i=<iterations>
 *   client: c=<binding>,r=<both nonces>,p=<proof>             -> {@link final}
 *   server: v=<server signature>
 *
 * Messages are texts whose characters are bytes (latin1). Broken ones are a `SwitchyardError` (08P01, 0A000 or 28000).
 */
export class ScramServer {
  readonly #verifier: ScramVerifier;
  readonly #isDoomed: boolean;
  readonly #channelBinding: Buffer | null;
  readonly #isPlus: boolean;
  readonly #serverNonce: string;
  #flag: BindingFlag;
  #nonce: string;
  /** client-first-message-bare and server-first-message, with the commas of AuthMessage. */
  #authMessageHead: string;

  /** @param mechanism the one that the client chose; must be an offered one */
  constructor(mechanism: string, options: ScramServerOptions) {
    if (!offeredMechanisms(options.channelBinding).includes(mechanism)) {
      throw new SwitchyardError('protocol_violation', 'client selected an invalid SASL authentication mechanism');
    }
    this.#verifier = options.verifier;
    this.#isDoomed = options.isDoomed;
    this.#channelBinding = options.channelBinding;
    this.#isPlus = mechanism === SCRAM_SHA_256_PLUS;
    this.#serverNonce = options.nonce ?? randomBytes(SCRAM_NONCE_BYTES).toString('base64');
    this.#flag = 'n';
    this.#nonce = '';
    this.#authMessageHead = '';
  }

  /** Takes the client-first-message and gives the server-first-message. */
  first(clientFirst: string): string {
    checkScramText(clientFirst, malformed);
    const flagEnd = this.#readFlag(clientFirst);
    const next = clientFirst.charAt(flagEnd);
    if (next === 'a') {
      const message = 'client uses authorization identity, but it is not supported';
      throw new SwitchyardError('unsupported_protocol', message);
    }
    if (next !== ',') {
      throw malformed(`Unexpected attribute "${shownCharacter(next)}" in client-first-message.`);
    }
    const bare = clientFirst.slice(flagEnd + 1);
    if (bare.startsWith('m')) {
      throw new SwitchyardError('unsupported_protocol', 'client requires an unsupported SCRAM extension');
    }
    this.#nonce = readClientNonce(bare) + this.#serverNonce;
    const { salt, iterations } = this.#verifier;
    const serverFirst = `r=${this.#nonce},s=${salt.toString('base64')},i=${iterations}`;
    this.#authMessageHead = `${bare},${serverFirst},`;
    return serverFirst;
  }

  /** Takes the client-final-message. Null: the proof is wrong, or this exchange is a mock. */
  final(clientFinal: string): ScramAcceptance | null {
    checkScramText(clientFinal, malformed);
    const attributes = new ScramAttributes(clientFinal, malformed);
    this.#checkBinding(attributes.value('c'));
    const nonce = attributes.value('r');
    let proofAt = attributes.offset;
    let attribute = attributes.any();
    while (attribute.name !== 'p') {
      // Optional extensions are ignored; the loop ends with the text.
      proofAt = attributes.offset;
      attribute = attributes.any();
    }
    const proof = decodeBase64(attribute.value);
    if (proof === null || proof.length !== SCRAM_KEY_BYTES) {
      throw malformed('Malformed proof in client-final-message.');
    }
    if (!attributes.isAtEnd) {
      throw malformed('Garbage found at the end of client-final-message.');
    }
    if (nonce !== this.#nonce) {
      throw new SwitchyardError('protocol_violation', 'invalid SCRAM response', { detail: 'Nonce does not match.' });
    }
    return this.#checkProof(proof, this.#authMessageHead + clientFinal.slice(0, proofAt - 1));
  }

  #checkProof(proof: Buffer, authMessage: string): ScramAcceptance | null {
    const { storedKey, serverKey } = this.#verifier;
    const clientKey = proofOrKey(proof, storedKey, authMessage);
    // A mock exchange goes all the way too, so that its time tells nothing.
    const isRight = equalSecrets(storedKeyOf(clientKey), storedKey);
    const signature = serverSignature(serverKey, authMessage).toString('base64');
    return isRight && !this.#isDoomed ? { serverFinal: `v=${signature}`, clientKey } : null;
  }

  /** Reads the channel binding flag of the GS2 header (RFC 5802, section 6); gives the offset behind its comma. */
  #readFlag(clientFirst: string): number {
    const flag = clientFirst.charAt(0);
    switch (flag) {
      case 'n':
      case 'y':
        if (this.#isPlus) {
          throw malformed(
            `The client selected ${SCRAM_SHA_256_PLUS}, but the SCRAM message does not include channel binding data.`,
          );
        }
        if (flag === 'y' && this.#channelBinding !== null) {
          // Somebody in between may have taken the better mechanism off our list.
          throw new SwitchyardError('login_rejected', 'SCRAM channel binding negotiation error', {
            detail:
              'The client supports SCRAM channel binding but thinks the server does not.  ' +
              'However, this server does support channel binding.',
          });
        }
        if (clientFirst.charAt(1) !== ',') {
          throw malformed(`Comma expected, but found character "${shownCharacter(clientFirst.charAt(1))}".`);
        }
        this.#flag = flag;
        return 2;
      case 'p':
        this.#flag = flag;
        return this.#readBindingType(clientFirst);
      default:
        throw malformed(`Unexpected channel-binding flag "${shownCharacter(flag)}".`);
    }
  }

  #readBindingType(clientFirst: string): number {
    if (!this.#isPlus) {
      throw malformed(
        `The client selected ${SCRAM_SHA_256} without channel binding, but the SCRAM message includes channel binding data.`,
      );
    }
    const attributes = new ScramAttributes(clientFirst, malformed);
    const type = attributes.value('p');
    if (type !== CHANNEL_BINDING_TYPE) {
      throw new SwitchyardError('protocol_violation', `unsupported SCRAM channel-binding type "${shownText(type)}"`);
    }
    return attributes.offset;
  }

  #checkBinding(given: string): void {
    if (this.#flag === 'p') {
      const header = Buffer.from(`p=${CHANNEL_BINDING_TYPE},,`, 'latin1');
      const expected = Buffer.concat([header, this.#channelBinding ?? Buffer.alloc(0)]).toString('base64');
      if (given !== expected) {
        throw new SwitchyardError('login_rejected', 'SCRAM channel binding check failed');
      }
      return;
    }
    if (given !== Buffer.from(`${this.#flag},,`, 'latin1').toString('base64')) {
      const message = 'unexpected SCRAM channel-binding attribute in client-final-message';
      throw new SwitchyardError('protocol_violation', message);
    }
  }
}

function readClientNonce(clientFirstBare: string): string {
  const attributes = new ScramAttributes(clientFirstBare, malformed);
  attributes.value('n');
  const nonce = attributes.value('r');
  if (!isPrintable(nonce)) {
    throw new SwitchyardError('protocol_violation', 'non-printable characters in SCRAM nonce');
  }
  while (!attributes.isAtEnd) {
    attributes.any();
  }
  return nonce;
}

function malformed(detail: string): SwitchyardError {
  return new SwitchyardError('protocol_violation', 'malformed SCRAM message', { detail });
}
