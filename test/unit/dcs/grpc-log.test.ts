import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setLogger } from '@grpc/grpc-js';
import { getLogger } from '@grpc/grpc-js/build/src/logging.js';
import { logGrpcTo } from '../../../src/dcs/grpc-log.js';
import type { LogFields } from '../../../src/log.js';
import { silentLogger } from '../../../src/log.js';

const before = getLogger();
afterEach(() => setLogger(before));

test('what the gRPC library has to say goes to the log of the program, as details', () => {
  const said: string[] = [];
  logGrpcTo({
    ...silentLogger,
    debug: (fields: LogFields, message: string) => void said.push(`${message}: ${String(fields['grpc'])}`),
  });
  getLogger().error?.('E the server rejected', 7);
  getLogger().info?.('I see');
  assert.deepEqual(said, ['gRPC: E the server rejected 7', 'gRPC: I see']);
});
