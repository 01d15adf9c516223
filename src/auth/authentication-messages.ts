import { BackendType, Frontend } from '../protocol/codes.js';

/**
 * The messages of a log-in that are sent to clients, and the one to nodes that pg-protocol cannot build.
 * Source of layouts and codes: PostgreSQL documentation, "Message Formats", Authentication* and PasswordMessage.
 *
 *   +-----+--------------+-----------+------+
 *   | 'R' | length (4)   | code (4)  | data |
 *   +-----+--------------+-----------+------+
 */

/** The code of an Authentication message. */
export const Authentication = {
  Ok: 0,
  KerberosV5: 2,
  CleartextPassword: 3,
  Md5Password: 5,
  ScmCredential: 6,
  Gss: 7,
  GssContinue: 8,
  Sspi: 9,
  Sasl: 10,
  SaslContinue: 11,
  SaslFinal: 12,
} as const;

export function authenticationCleartextPassword(): Buffer {
  return authentication(Authentication.CleartextPassword, Buffer.alloc(0));
}

export function authenticationMd5Password(salt: Buffer): Buffer {
  return authentication(Authentication.Md5Password, salt);
}

export function authenticationSasl(mechanisms: readonly string[]): Buffer {
  return authentication(Authentication.Sasl, Buffer.from([...mechanisms, ''].map((name) => `${name}\0`).join('')));
}

/** @param data its characters are bytes (latin1) */
export function authenticationSaslContinue(data: string): Buffer {
  return authentication(Authentication.SaslContinue, Buffer.from(data, 'latin1'));
}

/** @param data its characters are bytes (latin1) */
export function authenticationSaslFinal(data: string): Buffer {
  return authentication(Authentication.SaslFinal, Buffer.from(data, 'latin1'));
}

/** PasswordMessage with these very bytes: a password need not be UTF-8. */
export function passwordMessage(password: Buffer): Buffer {
  const out = Buffer.alloc(5 + password.length + 1);
  out.writeUInt8(Frontend.Password, 0);
  out.writeInt32BE(4 + password.length + 1, 1);
  password.copy(out, 5);
  return out;
}

function authentication(code: number, data: Buffer): Buffer {
  const out = Buffer.alloc(9 + data.length);
  out.writeUInt8(BackendType.Authentication, 0);
  out.writeInt32BE(8 + data.length, 1);
  out.writeInt32BE(code, 5);
  data.copy(out, 9);
  return out;
}
