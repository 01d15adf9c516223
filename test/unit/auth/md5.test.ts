import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMd5Hash, md5Hash, md5Response } from '../../../src/auth/md5.js';

test('the stored hash is md5 of password and user, the answer md5 of its digits and the salt', () => {
  // PostgreSQL: select 'md5' || md5('secret' || 'alice'), then md5 of that hash's digits followed by 'salt'.
  assert.equal(md5Hash(Buffer.from('secret'), 'alice'), 'md54a0a68b43b6cd5cf266fa02f196e2371');
  assert.equal(
    md5Response('md54a0a68b43b6cd5cf266fa02f196e2371', Buffer.from('salt')),
    'md5986e2194384c07f4fd1df4b1351b3e68',
  );
});

test('only md5 and 32 digits in lower case are a stored hash', () => {
  assert.equal(isMd5Hash('md54a0a68b43b6cd5cf266fa02f196e2371'), true);
  for (const text of ['md5', 'md54A0A68B43B6CD5CF266FA02F196E2371', 'md54a0a68b43b6cd5cf266fa02f196e237', 'x']) {
    assert.equal(isMd5Hash(text), false, text);
  }
});
