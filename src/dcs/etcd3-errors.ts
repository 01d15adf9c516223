import {
  EtcdAuthenticationFailedError,
  EtcdInvalidAuthTokenError,
  EtcdPermissionDeniedError,
  GRPCDeadlineExceededError,
  GRPCUnauthenticatedError,
} from 'etcd3';
import { messageOf } from '../errors.js';

const SENTENCE_MAX = 200;

/**
 * Why a request to etcd failed, in words that are the same for the same cause: no durations, no addresses, no stack, so that a
 * repeated failure is recognised as the same one.
 */
export function describeEtcdError(error: unknown): string {
  const message = messageOf(error);
  if (error instanceof EtcdAuthenticationFailedError) {
    return 'log-in refused: wrong user name or password';
  }
  if (error instanceof EtcdPermissionDeniedError) {
    return 'permission denied: the user may not read these keys';
  }
  if (error instanceof GRPCDeadlineExceededError) {
    return 'no answer in time';
  }
  if (/user name is empty/.test(message)) {
    return 'etcd asks for a user name and password';
  }
  if (/no leader/.test(message)) {
    return 'this etcd member has no leader';
  }
  if (isTokenError(error)) {
    return 'the log-in has expired';
  }
  const system = /\b(E[A-Z]{3,}|ERR_[A-Z_]+)\b/.exec(message)?.[1];
  const known = system === undefined ? undefined : SYSTEM_ERRORS.get(system);
  if (known !== undefined) {
    return known;
  }
  // "14 UNAVAILABLE: No connection established. Last error: ...": the code in front says nothing to people.
  return message
    .replace(/^\d+ [A-Z_]+: /, '')
    .replace(/\s+/g, ' ')
    .slice(0, SENTENCE_MAX);
}

/** Whether a new log-in may help: the token is unknown (etcd was restarted), too old, or from before a change of the users. */
export function isTokenError(error: unknown): boolean {
  return (
    error instanceof EtcdInvalidAuthTokenError ||
    error instanceof GRPCUnauthenticatedError ||
    /invalid auth token|auth store is old|user name is empty/.test(messageOf(error))
  );
}

/** etcd answers a log-in this way when it was never told to ask for one. */
export function isAuthDisabled(error: unknown): boolean {
  return /authentication is not enabled/.test(messageOf(error));
}

const SYSTEM_ERRORS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['ECONNRESET', 'connection reset'],
  ['EHOSTUNREACH', 'host unreachable'],
  ['ENETUNREACH', 'network unreachable'],
  ['ENOTFOUND', 'host name not found'],
  ['EAI_AGAIN', 'host name could not be looked up'],
  ['ETIMEDOUT', 'connection timed out'],
]);
