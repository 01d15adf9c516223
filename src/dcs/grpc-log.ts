import { setLogger } from '@grpc/grpc-js';
import type { Logger } from '../log.js';

/**
 * Has the gRPC library speak through the log of the program. It has one log for the whole process, which is the standard error stream unless
 * it is told otherwise, and calls errors what is none here: connections that are tried again are told of by those who use them.
 */
export function logGrpcTo(logger: Logger): void {
  const say = (...words: readonly unknown[]): void => logger.debug({ grpc: words.map(String).join(' ') }, 'gRPC');
  setLogger({ error: say, info: say, debug: say });
}
