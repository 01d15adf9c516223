import { createHash } from 'node:crypto';

/**
 * PostgreSQL's older password method: the stored hash is `md5` + md5(password + user), the answer to a salt of four bytes is
 * `md5` + md5(hex digits of the stored hash + salt). Source: PostgreSQL documentation, AuthenticationMD5Password in "Message Flow".
 * The stored hash is as good as the password: whoever has it can log in.
 */

export const MD5_SALT_BYTES = 4;

const STORED_PATTERN = /^md5[0-9a-f]{32}$/;

/** True for a stored hash: `md5` and 32 hexadecimal digits in lower case. */
export function isMd5Hash(text: string): boolean {
  return STORED_PATTERN.test(text);
}

/** The stored hash of a password. */
export function md5Hash(password: Buffer, user: string): string {
  return `md5${createHash('md5').update(password).update(user, 'utf8').digest('hex')}`;
}

/** The answer to an AuthenticationMD5Password with this salt, from the stored hash. */
export function md5Response(hash: string, salt: Buffer): string {
  return `md5${createHash('md5').update(hash.slice(3), 'latin1').update(salt).digest('hex')}`;
}
