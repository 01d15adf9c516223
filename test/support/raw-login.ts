import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';
import { BodyReader, backend, frontend } from './raw-messages.js';
import type { RawMessage } from './raw-messages.js';

/** Values of the first field of an Authentication message ("Message Formats"). */
const Authentication = { Ok: 0, Cleartext: 3, Md5: 5, Sasl: 10, SaslContinue: 11, SaslFinal: 12 } as const;

export interface LoginSecrets {
  readonly user: string;
  readonly password: string;
  /** The server's certificate (DER, signed with SHA-256) to bind the log-in to the TLS channel; null: no binding. */
  readonly boundCertificate: Buffer | null;
}

/** A way to exchange messages during a log-in. */
interface Line {
  send(bytes: Buffer): void;
  read(): Promise<RawMessage | null>;
}

/** The server refused the log-in; `code` is the SQLSTATE, empty when the server closed the connection without a word. */
export class LoginError extends Error {
  readonly code: string;

  constructor(code: string, text: string) {
    super(code === '' ? text : `${code}: ${text}`);
    this.name = 'LoginError';
    this.code = code;
  }
}

/**
 * Answers the server's Authentication messages up to AuthenticationOk and returns the method that was used. NegotiateProtocolVersion
 * before them is given to `onNegotiate`.
 */
export async function logIn(line: Line, secrets: LoginSecrets, onNegotiate: (body: Buffer) => void): Promise<string> {
  let method = 'trust';
  for (;;) {
    const message = await line.read();
    if (message === null) throw new LoginError('', 'the connection was closed during the log-in');
    if (message.type === 'E') {
      const fields = backend.errorFields(message.body);
      throw new LoginError(fields.code, fields.message);
    }
    if (message.type === 'v') {
      onNegotiate(message.body);
      continue;
    }
    if (message.type !== 'R') throw new Error(`expected Authentication, got ${message.type}`);
    const reader = new BodyReader(message.body);
    const kind = reader.int32();
    switch (kind) {
      case Authentication.Ok:
        return method;
      case Authentication.Cleartext:
        method = 'password';
        line.send(frontend.password(secrets.password));
        break;
      case Authentication.Md5:
        method = 'md5';
        line.send(frontend.password(md5Response(secrets, reader.bytes(4))));
        break;
      case Authentication.Sasl:
        method = await scram(line, reader, secrets);
        break;
      default:
        throw new Error(`the server asks for authentication ${kind}`);
    }
  }
}

function md5Response(secrets: LoginSecrets, salt: Buffer): string {
  const inner = createHash('md5')
    .update(secrets.password + secrets.user)
    .digest('hex');
  return `md5${createHash('md5').update(inner).update(salt).digest('hex')}`;
}

/** The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), with `tls-server-end-point` (RFC 5929) when a certificate is bound. */
async function scram(line: Line, offered: BodyReader, secrets: LoginSecrets): Promise<string> {
  const mechanisms = offered
    .rest()
    .toString('latin1')
    .split('\0')
    .filter((name) => name !== '');
  const mechanism = secrets.boundCertificate === null ? 'SCRAM-SHA-256' : 'SCRAM-SHA-256-PLUS';
  if (!mechanisms.includes(mechanism))
    throw new Error(`the server offers ${mechanisms.join(', ')} and not ${mechanism}`);
  const gs2Header = secrets.boundCertificate === null ? 'n,,' : 'p=tls-server-end-point,,';
  const binding = secrets.boundCertificate === null ? Buffer.alloc(0) : sha256(secrets.boundCertificate);

  const clientFirst = `n=,r=${randomBytes(18).toString('base64')}`;
  line.send(frontend.saslInitialResponse(mechanism, gs2Header + clientFirst));
  const serverFirst = await saslMessage(line, Authentication.SaslContinue);
  const { r: nonce = '', s: salt = '', i: iterations = '' } = attributes(serverFirst);
  if (!nonce.startsWith(clientFirst.slice('n=,r='.length))) throw new Error('the server changed our nonce');

  const channel = Buffer.concat([Buffer.from(gs2Header), binding]).toString('base64');
  const withoutProof = `c=${channel},r=${nonce}`;
  const salted = pbkdf2Sync(
    secrets.password.normalize('NFKC'),
    Buffer.from(salt, 'base64'),
    Number(iterations),
    32,
    'sha256',
  );
  const clientKey = hmac(salted, 'Client Key');
  const transcript = `${clientFirst},${serverFirst},${withoutProof}`;
  const signature = hmac(sha256(clientKey), transcript);
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)));
  line.send(frontend.saslResponse(`${withoutProof},p=${proof.toString('base64')}`));

  const serverFinal = attributes(await saslMessage(line, Authentication.SaslFinal));
  const expected = hmac(hmac(salted, 'Server Key'), transcript);
  const said = Buffer.from(serverFinal['v'] ?? '', 'base64');
  if (said.length !== expected.length || !timingSafeEqual(said, expected))
    throw new Error('the server does not know the password');
  return mechanism.toLowerCase();
}

async function saslMessage(line: Line, expected: number): Promise<string> {
  const message = await line.read();
  if (message === null) throw new LoginError('', 'the connection was closed during the log-in');
  if (message.type === 'E') {
    const fields = backend.errorFields(message.body);
    throw new LoginError(fields.code, fields.message);
  }
  const reader = new BodyReader(message.body);
  const kind = message.type === 'R' ? reader.int32() : -1;
  if (kind !== expected) throw new Error(`expected SASL message ${expected}, got ${message.type} ${kind}`);
  return reader.rest().toString('utf8');
}

function attributes(text: string): Record<string, string> {
  return Object.fromEntries(text.split(',').map((part) => [part.slice(0, 1), part.slice(2)]));
}

function sha256(data: Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
