import { serialize } from 'pg-protocol';
import { SwitchyardError } from '../errors.js';
import { assertNever } from '../util/assert-never.js';
import { Authentication, passwordMessage } from './authentication-messages.js';
import type { BackendCredentials } from './credentials.js';
import { MD5_SALT_BYTES, md5Hash, md5Response } from './md5.js';
import { ScramClient, type ScramKeySource, keysOfPassword, recoveredKeys } from './scram-client.js';
import { type DeriveScramKeys, SASL_MESSAGE_BYTES_MAX, SCRAM_SHA_256, deriveScramKeys } from './scram.js';

/** What is to be done after an Authentication message of a node. */
export type BackendLoginStep =
  /** Send this frontend message. */
  | { readonly kind: 'send'; readonly bytes: Buffer }
  /** Nothing; another Authentication message follows. */
  | { readonly kind: 'wait' }
  /** The node has let us in (AuthenticationOk). */
  | { readonly kind: 'ok' };

/**
 * `answered`: to a cleartext or md5 request. `scram-busy`: our answer is being computed; whatever a node says then is too early.
 */
type Phase = 'begin' | 'answered' | 'scram-first' | 'scram-busy' | 'scram-final' | 'scram-verified' | 'done';

/** When AuthenticationOk may come: at once (trust), after an answer, or after the node has proved itself. */
const OK_PHASES: ReadonlySet<Phase> = new Set(['begin', 'answered', 'scram-verified']);

type Method = 'password' | 'md5' | 'scram-sha-256';

const WAIT: BackendLoginStep = { kind: 'wait' };
const OK: BackendLoginStep = { kind: 'ok' };

/** Longest Authentication message that is looked at: its code and one SASL message. */
const BODY_BYTES_MAX = 4 + SASL_MESSAGE_BYTES_MAX;

/**
 * Our side of a log-in to a node, as a machine without a socket: it takes the Authentication messages in their order, one at a time.
 * It does whatever the node asks for, as libpq does, as far as the credentials go.
 */
export class BackendLogin {
  readonly #user: string;
  readonly #credentials: BackendCredentials;
  readonly #derive: DeriveScramKeys;
  #scram: ScramClient | null;
  #phase: Phase;

  /** @param derive how keys are derived from a password; without it as fast as it goes */
  constructor(user: string, credentials: BackendCredentials, derive: DeriveScramKeys = deriveScramKeys) {
    this.#user = user;
    this.#credentials = credentials;
    this.#derive = derive;
    this.#scram = null;
    this.#phase = 'begin';
  }

  /** True after AuthenticationOk. A node that says ReadyForQuery before has not let us in, or has not proved itself. */
  get isDone(): boolean {
    return this.#phase === 'done';
  }

  /**
   * @param body of an `R` message, after its length; borrowed until the promise settles
   * @throws SwitchyardError `backend_login_failed` when the credentials do not fit what the node asks for, or the node is not who it
   * should be; `backend_protocol_violation` for messages that make no sense. The log-in is over then.
   */
  async onAuthentication(body: Buffer): Promise<BackendLoginStep> {
    if (body.length < 4 || body.length > BODY_BYTES_MAX) {
      throw violation('invalid length of an Authentication message');
    }
    const code = body.readInt32BE(0);
    const data = body.subarray(4);
    switch (code) {
      case Authentication.Ok:
        return this.#onOk();
      case Authentication.CleartextPassword:
        this.#expect('begin', 'AuthenticationCleartextPassword');
        return this.#answerCleartext();
      case Authentication.Md5Password:
        this.#expect('begin', 'AuthenticationMD5Password');
        return this.#answerMd5(data);
      case Authentication.Sasl:
        this.#expect('begin', 'AuthenticationSASL');
        return this.#beginScram(data);
      case Authentication.SaslContinue:
        this.#expect('scram-first', 'AuthenticationSASLContinue');
        return this.#continueScram(data);
      case Authentication.SaslFinal:
        this.#expect('scram-final', 'AuthenticationSASLFinal');
        return this.#finishScram(data);
      default:
        throw unsupported(code);
    }
  }

  #onOk(): BackendLoginStep {
    if (!OK_PHASES.has(this.#phase)) {
      throw this.#phase === 'done'
        ? violation('unexpected AuthenticationOk from the node')
        : new SwitchyardError('backend_login_failed', 'the node ended the SCRAM exchange without proving itself');
    }
    this.#phase = 'done';
    return OK;
  }

  #answerCleartext(): BackendLoginStep {
    if (this.#credentials.kind !== 'password') {
      throw this.#cannot('password');
    }
    this.#phase = 'answered';
    return { kind: 'send', bytes: passwordMessage(this.#credentials.password) };
  }

  #answerMd5(salt: Buffer): BackendLoginStep {
    if (salt.length !== MD5_SALT_BYTES) {
      throw violation('invalid salt in AuthenticationMD5Password');
    }
    this.#phase = 'answered';
    return { kind: 'send', bytes: serialize.password(md5Response(this.#md5Hash(), salt)) };
  }

  #md5Hash(): string {
    switch (this.#credentials.kind) {
      case 'password':
        return md5Hash(this.#credentials.password, this.#user);
      case 'md5':
        return this.#credentials.hash;
      case 'scram-keys':
      case 'none':
        throw this.#cannot('md5');
      default:
        return assertNever(this.#credentials);
    }
  }

  #beginScram(list: Buffer): BackendLoginStep {
    const mechanisms = readMechanisms(list);
    if (!mechanisms.includes(SCRAM_SHA_256)) {
      // SCRAM-SHA-256-PLUS never comes alone from PostgreSQL.
      throw new SwitchyardError('backend_login_failed', 'the node offers no SASL mechanism that is supported', {
        detail: `It offers ${mechanisms.length === 0 ? 'none' : mechanisms.join(', ')}; supported is ${SCRAM_SHA_256}.`,
      });
    }
    const scram = new ScramClient(this.#keySource());
    this.#scram = scram;
    this.#phase = 'scram-first';
    return { kind: 'send', bytes: serialize.sendSASLInitialResponseMessage(SCRAM_SHA_256, scram.first()) };
  }

  #keySource(): ScramKeySource {
    switch (this.#credentials.kind) {
      case 'password':
        return keysOfPassword(this.#credentials, this.#derive);
      case 'scram-keys':
        return recoveredKeys(this.#credentials, this.#user);
      case 'md5':
      case 'none':
        throw this.#cannot('scram-sha-256');
      default:
        return assertNever(this.#credentials);
    }
  }

  async #continueScram(data: Buffer): Promise<BackendLoginStep> {
    this.#phase = 'scram-busy';
    const final = await this.#exchange().final(data.toString('latin1'));
    this.#phase = 'scram-final';
    return { kind: 'send', bytes: serialize.sendSCRAMClientFinalMessage(final) };
  }

  #finishScram(data: Buffer): BackendLoginStep {
    this.#exchange().verify(data.toString('latin1'));
    this.#phase = 'scram-verified';
    return WAIT;
  }

  #exchange(): ScramClient {
    if (this.#scram === null) {
      throw violation('no SCRAM exchange is under way');
    }
    return this.#scram;
  }

  #expect(phase: Phase, message: string): void {
    if (this.#phase !== phase) {
      throw violation(`unexpected ${message} from the node`);
    }
  }

  #cannot(asked: Method): SwitchyardError {
    const { kind } = this.#credentials;
    return new SwitchyardError(
      'backend_login_failed',
      `the node asks for method ${asked} for user "${this.#user}", but ${HAVE[kind]}`,
      { hint: kind === 'none' ? HINT_NONE : HINTS[asked] },
    );
  }
}

/** What we have, for people. */
const HAVE: Readonly<Record<BackendCredentials['kind'], string>> = {
  password: 'only its password is known',
  md5: 'only its md5 hash is known',
  'scram-keys': 'only the keys of its SCRAM log-in are known',
  none: 'no password of it is known',
};

const HINT_NONE =
  'Put the password of the user into auth.users or the userlist file, or let clients log in with method scram-sha-256 or password.';

const HINTS: Readonly<Record<Method, string>> = {
  password: 'Use scram-sha-256 in pg_hba.conf of the nodes, or put the password of the user into auth.users.',
  md5: 'Use scram-sha-256 in pg_hba.conf of the nodes, or put the password of the user into auth.users.',
  'scram-sha-256':
    'Let clients log in with method scram-sha-256 or password and store a SCRAM verifier, or put the password of the user into auth.users.',
};

/** Names of the methods that are not supported, by their code. */
const UNSUPPORTED: ReadonlyMap<number, string> = new Map([
  [Authentication.KerberosV5, 'Kerberos V5'],
  [Authentication.ScmCredential, 'SCM credentials'],
  [Authentication.Gss, 'GSSAPI'],
  [Authentication.GssContinue, 'GSSAPI'],
  [Authentication.Sspi, 'SSPI'],
]);

function unsupported(code: number): SwitchyardError {
  const name = UNSUPPORTED.get(code) ?? `number ${code}`;
  return new SwitchyardError('backend_login_failed', `the node asks for authentication method ${name}`, {
    detail: 'Supported are scram-sha-256, md5, password and trust.',
    hint: 'Add a line for the address of the proxy to pg_hba.conf of the nodes.',
  });
}

/** The list ends with an empty name. */
function readMechanisms(list: Buffer): readonly string[] {
  const names = list.toString('latin1').split('\0');
  if (names.length < 2 || names.at(-1) !== '' || names.at(-2) !== '') {
    throw violation('invalid list of mechanisms in AuthenticationSASL');
  }
  return names.slice(0, -2);
}

function violation(message: string): SwitchyardError {
  return new SwitchyardError('backend_protocol_violation', message);
}
