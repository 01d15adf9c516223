import { randomBytes } from 'node:crypto';
import type { AuthMethod } from '../config/auth-schema.js';
import { SwitchyardError, messageOf } from '../errors.js';
import { assertNever } from '../util/assert-never.js';
import {
  authenticationCleartextPassword,
  authenticationMd5Password,
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
} from './authentication-messages.js';
import { type BackendCredentials, NoCredentials, PasswordCredentials, ScramKeyCredentials } from './credentials.js';
import type { LoginSecrets } from './login-secrets.js';
import { MD5_SALT_BYTES } from './md5.js';
import { ScramServer, offeredMechanisms } from './scram-server.js';
import { SASL_MESSAGE_BYTES_MAX, ScramKeys, type ScramVerifier } from './scram.js';
import { NoSecret, type UserSecret } from './user-secret.js';
import type { UserDirectory } from './users.js';

/** Longest body of a message of type `p` (PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH); the caller need not read longer ones. */
export const PASSWORD_BODY_BYTES_MAX = 65_535;

/** What is to be done next in the log-in of a client. */
export type LoginStep =
  /** Send this Authentication message and wait for one of type `p`. */
  | { readonly kind: 'send'; readonly bytes: Buffer }
  /** Send `bytes`, if any, and AuthenticationOk: the client is in. */
  | { readonly kind: 'ok'; readonly bytes: Buffer | null; readonly credentials: BackendCredentials }
  /** Send the error as FATAL and close. `logDetail` is for our own log: the client must not learn it. */
  | { readonly kind: 'fail'; readonly error: SwitchyardError; readonly logDetail: string };

export interface ClientLoginOptions {
  /** What the rules say. */
  readonly method: AuthMethod;
  readonly user: string;
  readonly database: string;
  readonly directory: UserDirectory;
  readonly secrets: LoginSecrets;
  /** `tls-server-end-point` of the client's TLS connection (RFC 5929), to offer SCRAM-SHA-256-PLUS; null: it is not offered. */
  readonly channelBinding: Buffer | null;
}

type Dialogue =
  | { readonly kind: 'begin' }
  | { readonly kind: 'password'; readonly secret: UserSecret }
  | { readonly kind: 'md5'; readonly secret: UserSecret; readonly salt: Buffer }
  | { readonly kind: 'sasl-initial'; readonly secret: UserSecret }
  | { readonly kind: 'scram-first'; readonly exchange: Exchange }
  | { readonly kind: 'scram-final'; readonly exchange: Exchange }
  /** A step is being computed; the client has to wait for it. */
  | { readonly kind: 'busy' }
  | { readonly kind: 'done' };

interface Exchange {
  readonly secret: UserSecret;
  readonly verifier: ScramVerifier;
  readonly server: ScramServer;
}

/**
 * The log-in of one client, as a machine without a socket. Users who do not exist go through the same messages, in the same time, as
 * those who do, and fail at the end. Neither call rejects for anything that a client can send.
 */
export class ClientLogin {
  readonly #options: ClientLoginOptions;
  #dialogue: Dialogue;
  /** A message came that must not have come: whatever a step still computes is of no use any more. */
  #isBroken: boolean;

  constructor(options: ClientLoginOptions) {
    this.#options = options;
    this.#dialogue = { kind: 'begin' };
    this.#isBroken = false;
  }

  /** Begins the log-in; once, before anything else. */
  begin(): Promise<LoginStep> {
    return this.#step('begin', () => this.#begin());
  }

  /**
   * Takes the next message of type `p`: a PasswordMessage, SASLInitialResponse or SASLResponse.
   * @param body after the length; borrowed until the promise settles
   */
  onPasswordMessage(body: Buffer): Promise<LoginStep> {
    const dialogue = this.#dialogue;
    return this.#step(dialogue.kind, () => {
      switch (dialogue.kind) {
        case 'password':
          return this.#onPassword(dialogue.secret, body);
        case 'md5':
          return this.#onMd5Response(dialogue.secret, dialogue.salt, body);
        case 'sasl-initial':
          return this.#onSaslInitialResponse(dialogue.secret, body);
        case 'scram-first':
          return this.#onScramFirst(dialogue.exchange, checkedSaslMessage(body));
        case 'scram-final':
          return this.#onScramFinal(dialogue.exchange, checkedSaslMessage(body));
        case 'begin':
        case 'busy':
        case 'done':
          throw violation('unexpected password message');
        default:
          return assertNever(dialogue);
      }
    });
  }

  /** Runs one step; what it throws as an error of ours ends the log-in. */
  async #step(from: Dialogue['kind'], run: () => Promise<LoginStep> | LoginStep): Promise<LoginStep> {
    try {
      if (this.#dialogue.kind !== from || from === 'busy') {
        this.#isBroken = true;
      }
      this.#checkWhole();
      this.#dialogue = { kind: 'busy' };
      const step = await run();
      this.#checkWhole();
      if (step.kind !== 'send') {
        this.#dialogue = { kind: 'done' };
      }
      return step;
    } catch (error) {
      this.#dialogue = { kind: 'done' };
      if (error instanceof SwitchyardError) {
        return { kind: 'fail', error, logDetail: logDetailOf(error) };
      }
      throw error;
    }
  }

  #checkWhole(): void {
    if (this.#isBroken) {
      throw violation('unexpected password message');
    }
  }

  async #begin(): Promise<LoginStep> {
    const { method, user, database, directory } = this.#options;
    switch (method) {
      case 'reject': {
        const message = `connection of user "${user}" to database "${database}" is rejected by an authentication rule`;
        return { kind: 'fail', error: new SwitchyardError('login_rejected', message), logDetail: 'method reject' };
      }
      case 'trust':
        return { kind: 'ok', bytes: null, credentials: knownCredentials(await directory.lookUp(user)) };
      case 'password':
        this.#dialogue = { kind: 'password', secret: await directory.lookUp(user) };
        return { kind: 'send', bytes: authenticationCleartextPassword() };
      case 'md5': {
        const secret = await directory.lookUp(user);
        return dialogueOf(secret, directory) === 'md5' ? this.#askMd5(secret) : this.#askSasl(secret);
      }
      case 'scram-sha-256':
        return this.#askSasl(await directory.lookUp(user));
      default:
        return assertNever(method);
    }
  }

  #askMd5(secret: UserSecret): LoginStep {
    const salt = randomBytes(MD5_SALT_BYTES);
    this.#dialogue = { kind: 'md5', secret, salt };
    return { kind: 'send', bytes: authenticationMd5Password(salt) };
  }

  #askSasl(secret: UserSecret): LoginStep {
    this.#dialogue = { kind: 'sasl-initial', secret };
    return { kind: 'send', bytes: authenticationSasl(offeredMechanisms(this.#options.channelBinding)) };
  }

  async #onPassword(secret: UserSecret, body: Buffer): Promise<LoginStep> {
    const password = Buffer.from(readPassword(body));
    if (password.length === 0) {
      // libpq takes an empty password for none; so does PostgreSQL.
      const error = new SwitchyardError('login_failed', 'empty password returned by client');
      return { kind: 'fail', error, logDetail: 'The password is empty.' };
    }
    const refusal = await this.#options.secrets.checkPassword(this.#options.user, secret, password);
    if (refusal !== null) {
      return this.#refuse(refusal);
    }
    return {
      kind: 'ok',
      bytes: null,
      credentials: secret.kind === 'plain' ? secret.credentials : new PasswordCredentials(password),
    };
  }

  #onMd5Response(secret: UserSecret, salt: Buffer, body: Buffer): LoginStep {
    const response = readPassword(body).toString('latin1');
    const refusal = this.#options.secrets.checkMd5Response(this.#options.user, secret, salt, response);
    return refusal === null
      ? { kind: 'ok', bytes: null, credentials: knownCredentials(secret) }
      : this.#refuse(refusal);
  }

  async #onSaslInitialResponse(secret: UserSecret, body: Buffer): Promise<LoginStep> {
    const { mechanism, response } = readSaslInitialResponse(body);
    const { directory, secrets, user, channelBinding } = this.#options;
    const { verifier, isDoomed } = await secrets.scramVerifier(user, secret, directory.hasPlainSecrets);
    const server = new ScramServer(mechanism, { verifier, isDoomed, channelBinding });
    const exchange: Exchange = { secret, verifier, server };
    if (response === null) {
      // The mechanism alone: an empty challenge asks for the rest (RFC 4422, section 5.1).
      this.#dialogue = { kind: 'scram-first', exchange };
      return { kind: 'send', bytes: authenticationSaslContinue('') };
    }
    return this.#onScramFirst(exchange, response);
  }

  #onScramFirst(exchange: Exchange, message: string): LoginStep {
    const serverFirst = exchange.server.first(message);
    this.#dialogue = { kind: 'scram-final', exchange };
    return { kind: 'send', bytes: authenticationSaslContinue(serverFirst) };
  }

  #onScramFinal(exchange: Exchange, message: string): LoginStep {
    const { secret, verifier, server } = exchange;
    const acceptance = server.final(message);
    if (acceptance === null) {
      return this.#refuse(whyScramFailed(this.#options.user, secret));
    }
    const keys = new ScramKeys(acceptance.clientKey, verifier.storedKey, verifier.serverKey);
    return {
      kind: 'ok',
      bytes: authenticationSaslFinal(acceptance.serverFinal),
      // A known password is better than the keys: it serves every method of a node.
      credentials: secret.kind === 'plain' ? secret.credentials : new ScramKeyCredentials(keys, verifier),
    };
  }

  /** The same words for every reason: the client must not learn which it was. */
  #refuse(logDetail: string): LoginStep {
    const { user, directory } = this.#options;
    directory.forget(user);
    const error = new SwitchyardError('login_failed', `password authentication failed for user "${user}"`);
    return { kind: 'fail', error, logDetail };
  }
}

/** Method md5 is SCRAM for users with a SCRAM verifier, as in PostgreSQL; for users without a secret it is what is usual here. */
function dialogueOf(secret: UserSecret, directory: UserDirectory): 'md5' | 'scram' {
  switch (secret.kind) {
    case 'plain':
    case 'md5':
      return 'md5';
    case 'scram':
      return 'scram';
    case 'none':
      return directory.usualDialogue;
    default:
      return assertNever(secret);
  }
}

function knownCredentials(secret: UserSecret): BackendCredentials {
  return secret.kind === 'plain' || secret.kind === 'md5' ? secret.credentials : new NoCredentials();
}

function whyScramFailed(user: string, secret: UserSecret): string {
  if (secret instanceof NoSecret) {
    return secret.explain(user);
  }
  return secret.kind === 'md5'
    ? `User "${user}" does not have a valid SCRAM secret.`
    : `Password does not match for user "${user}".`;
}

function logDetailOf(error: SwitchyardError): string {
  if (error.detail !== null) {
    return error.detail;
  }
  return error.cause === undefined ? error.message : messageOf(error.cause);
}

/** The C string of a PasswordMessage; part of `body`. */
function readPassword(body: Buffer): Buffer {
  const isWhole = body.length > 0 && body.length <= PASSWORD_BODY_BYTES_MAX && body.indexOf(0) === body.length - 1;
  if (!isWhole) {
    throw violation('invalid password packet size');
  }
  return body.subarray(0, -1);
}

/** SASLInitialResponse: mechanism as a C string, length (-1: no response), response. */
function readSaslInitialResponse(body: Buffer): { readonly mechanism: string; readonly response: string | null } {
  if (body.length > SASL_MESSAGE_BYTES_MAX) {
    throw violation('invalid message length');
  }
  const mechanismEnd = body.indexOf(0);
  if (mechanismEnd === -1) {
    throw violation('invalid string in message');
  }
  const mechanism = body.toString('latin1', 0, mechanismEnd);
  const responseAt = mechanismEnd + 1 + 4;
  if (body.length < responseAt) {
    throw violation('insufficient data left in message');
  }
  const length = body.readInt32BE(mechanismEnd + 1);
  if (body.length !== responseAt + Math.max(length, 0) || length < -1) {
    throw violation('invalid message format');
  }
  return { mechanism, response: length === -1 ? null : body.toString('latin1', responseAt) };
}

function checkedSaslMessage(body: Buffer): string {
  if (body.length > SASL_MESSAGE_BYTES_MAX) {
    throw violation('invalid message length');
  }
  return body.toString('latin1');
}

function violation(message: string): SwitchyardError {
  return new SwitchyardError('protocol_violation', message);
}
