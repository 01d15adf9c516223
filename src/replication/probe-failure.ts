import { messageOf } from '../errors.js';

/** Why a node gave no sample. */
export const FailureKind = {
  /** Nobody listens on the port. */
  Refused: 'refused',
  /** No answer in time: slow, frozen, or cut off. */
  Timeout: 'timeout',
  StartingUp: 'starting_up',
  ShuttingDown: 'shutting_down',
  /** Up, but takes no connections: `hot_standby = off`, or recovery has not reached a consistent state. */
  NotAccepting: 'not_accepting',
  /** The monitor role was not let in, or may not ask. */
  LoginFailed: 'login_failed',
  /** Up, but without a free connection slot for the monitor role. */
  NoSlot: 'no_slot',
  /** A new connection broke before it gave an answer. */
  Lost: 'lost',
  /** The answer was not what PostgreSQL would say. */
  Protocol: 'protocol',
  Other: 'other',
} as const;
export type FailureKind = (typeof FailureKind)[keyof typeof FailureKind];

/** A probe without a sample. */
export interface ProbeFailure {
  readonly ok: false;
  readonly kind: FailureKind;
  /** One line for people. */
  readonly message: string;
  /** Monotonic time at which it was known. */
  readonly atMs: number;
  /** Whether a connection was being made or a query was under way. */
  readonly phase: 'connect' | 'query';
}

/** Thrown by a probe itself when a time limit passed. */
export class ProbeTimeout extends Error {
  constructor(what: string, limitMs: number) {
    super(`${what} took longer than ${limitMs} ms`);
    this.name = 'ProbeTimeout';
  }
}

/** Thrown by a probe itself when an answer makes no sense. */
export class ProbeProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProbeProtocolError';
  }
}

/** Longest message kept of a failure, in characters. */
const MESSAGE_MAX = 300;
/** Most errors looked at along a chain of causes. */
const CAUSES_MAX = 6;
/** Appendix A of PostgreSQL's documentation, "PostgreSQL Error Codes". */
const SQL_STATE = /^[0-9A-Z]{5}$/;

const bySqlState: ReadonlyMap<string, FailureKind> = new Map([
  ['57P01', FailureKind.Lost],
  ['57P02', FailureKind.Lost],
  ['57P05', FailureKind.Lost],
  ['08006', FailureKind.Lost],
  ['08P01', FailureKind.Protocol],
  ['28000', FailureKind.LoginFailed],
  ['28P01', FailureKind.LoginFailed],
  ['3D000', FailureKind.LoginFailed],
  ['42501', FailureKind.LoginFailed],
  ['53300', FailureKind.NoSlot],
]);

const byErrorCode: ReadonlyMap<string, FailureKind> = new Map([
  ['ECONNREFUSED', FailureKind.Refused],
  ['ETIMEDOUT', FailureKind.Timeout],
  ['ECONNRESET', FailureKind.Lost],
  ['EPIPE', FailureKind.Lost],
  ['backend_lost', FailureKind.Lost],
  ['backend_login_failed', FailureKind.LoginFailed],
  ['backend_protocol_violation', FailureKind.Protocol],
]);

/** Says what kind of failure an error is, looking along its causes: the wrapper around a refused connection says little itself. */
export function classifyFailure(error: unknown): { readonly kind: FailureKind; readonly message: string } {
  let current: unknown = error;
  for (let depth = 0; depth < CAUSES_MAX && current instanceof Error; depth += 1) {
    const kind = kindOf(current);
    if (kind !== null) {
      const outer = messageOf(error);
      const inner = current.message;
      return { kind, message: oneLine(outer.includes(inner) ? outer : `${outer}: ${inner}`) };
    }
    current = current.cause;
  }
  return { kind: FailureKind.Other, message: oneLine(messageOf(error)) };
}

function kindOf(error: Error): FailureKind | null {
  if (error instanceof ProbeTimeout) {
    return FailureKind.Timeout;
  }
  if (error instanceof ProbeProtocolError) {
    return FailureKind.Protocol;
  }
  for (const code of codesOf(error)) {
    if (code === '57P03') {
      return refusalOf(error.message);
    }
    const kind = bySqlState.get(code) ?? byErrorCode.get(code);
    if (kind !== undefined) {
      return kind;
    }
  }
  return /\b(timed out|took longer|no answer within|timeout)\b/i.test(error.message) ? FailureKind.Timeout : null;
}

function* codesOf(error: Error): Generator<string, void, undefined> {
  if ('sqlState' in error && typeof error.sqlState === 'string' && SQL_STATE.test(error.sqlState)) {
    yield error.sqlState;
  }
  if ('code' in error && typeof error.code === 'string') {
    yield error.code;
  }
}

/**
 * Which of the reasons of 57P03 (cannot_connect_now) a text is: "the database system is starting up / shutting down / in recovery mode /
 * not yet accepting connections / not accepting connections". A server that speaks another language falls into the last one; all of
 * them mean that nobody can connect now.
 */
function refusalOf(message: string): FailureKind {
  if (message.includes('shutting down')) {
    return FailureKind.ShuttingDown;
  }
  return /starting up|recovery mode|not yet accepting/.test(message)
    ? FailureKind.StartingUp
    : FailureKind.NotAccepting;
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > MESSAGE_MAX ? `${line.slice(0, MESSAGE_MAX - 3)}...` : line;
}
