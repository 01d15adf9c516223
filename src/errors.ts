/**
 * Every error that this program makes itself, with its four faces decided in one place: code, SQLSTATE on the wire, message, log level.
 * SQLSTATEs are those of PostgreSQL's appendix A ("PostgreSQL Error Codes").
 */

/** Which side an error is about. */
export const ErrorSide = { Client: 'client', Backend: 'backend', Dcs: 'dcs', Self: 'self' } as const;
export type ErrorSide = (typeof ErrorSide)[keyof typeof ErrorSide];

interface ErrorKind {
  readonly sqlState: string;
  readonly side: ErrorSide;
  readonly level: 'info' | 'warn' | 'error';
}

const kinds = {
  // A client that does not speak the protocol, or is not let in.
  protocol_violation: { sqlState: '08P01', side: 'client', level: 'info' },
  unsupported_protocol: { sqlState: '0A000', side: 'client', level: 'info' },
  message_too_large: { sqlState: '54000', side: 'client', level: 'info' },
  login_failed: { sqlState: '28P01', side: 'client', level: 'info' },
  login_rejected: { sqlState: '28000', side: 'client', level: 'info' },
  startup_timeout: { sqlState: '08P01', side: 'client', level: 'info' },
  bad_route_option: { sqlState: '22023', side: 'client', level: 'info' },
  unknown_setting: { sqlState: '42704', side: 'client', level: 'info' },
  bad_setting: { sqlState: '22023', side: 'client', level: 'info' },
  query_canceled: { sqlState: '57014', side: 'client', level: 'info' },
  // What took longer than it may.
  client_idle_timeout: { sqlState: '57P05', side: 'client', level: 'info' },
  idle_transaction_timeout: { sqlState: '25P03', side: 'client', level: 'info' },
  transaction_timeout: { sqlState: '25P04', side: 'client', level: 'info' },
  query_timeout: { sqlState: '57014', side: 'backend', level: 'info' },
  // A command of the console.
  not_permitted: { sqlState: '42501', side: 'client', level: 'info' },
  bad_command: { sqlState: '42601', side: 'client', level: 'info' },
  not_available: { sqlState: '0A000', side: 'client', level: 'info' },
  unknown_database: { sqlState: '3D000', side: 'client', level: 'info' },
  unknown_statement: { sqlState: '26000', side: 'client', level: 'info' },
  unknown_portal: { sqlState: '34000', side: 'client', level: 'info' },
  duplicate_statement: { sqlState: '42P05', side: 'client', level: 'info' },
  too_many_statements: { sqlState: '54000', side: 'client', level: 'info' },
  unknown_object: { sqlState: '42704', side: 'client', level: 'info' },
  config_refused: { sqlState: 'F0000', side: 'self', level: 'warn' },
  engine_missing: { sqlState: 'F0000', side: 'self', level: 'error' },
  wrong_state: { sqlState: '55000', side: 'client', level: 'info' },
  // Limits of ours.
  too_many_clients: { sqlState: '53300', side: 'self', level: 'warn' },
  too_many_backends: { sqlState: '53300', side: 'self', level: 'warn' },
  too_many_held: { sqlState: '53300', side: 'self', level: 'warn' },
  // Nodes.
  backend_connect_failed: { sqlState: '08001', side: 'backend', level: 'warn' },
  backend_lost: { sqlState: '08006', side: 'backend', level: 'warn' },
  outcome_unknown: { sqlState: '08007', side: 'backend', level: 'warn' },
  backend_login_failed: { sqlState: '28000', side: 'backend', level: 'warn' },
  user_lookup_failed: { sqlState: '57P03', side: 'backend', level: 'warn' },
  backend_protocol_violation: { sqlState: '08P01', side: 'backend', level: 'error' },
  not_the_primary: { sqlState: '57P03', side: 'backend', level: 'warn' },
  replay_failed: { sqlState: '57P01', side: 'backend', level: 'warn' },
  // Cluster.
  no_primary: { sqlState: '57P03', side: 'dcs', level: 'warn' },
  no_standby: { sqlState: '57P03', side: 'dcs', level: 'warn' },
  session_cannot_move: { sqlState: '57P01', side: 'self', level: 'info' },
  shutting_down: { sqlState: '57P01', side: 'self', level: 'info' },
  not_accepting: { sqlState: '57P03', side: 'self', level: 'info' },
  internal: { sqlState: 'XX000', side: 'self', level: 'error' },
} as const satisfies Record<string, ErrorKind>;

/** Name of an error of ours; used as a label in logs and metrics. */
export type ErrorCode = keyof typeof kinds;

/** An error of ours. `message` goes to the client as it is: it must hold no secret. */
export class SwitchyardError extends Error {
  readonly code: ErrorCode;
  readonly sqlState: string;
  readonly side: ErrorSide;
  readonly level: 'info' | 'warn' | 'error';
  /** DETAIL and HINT of the ErrorResponse. */
  readonly detail: string | null;
  readonly hint: string | null;

  constructor(
    code: ErrorCode,
    message: string,
    more: { readonly detail?: string | null; readonly hint?: string | null; readonly cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'SwitchyardError';
    const kind: ErrorKind = kinds[code];
    this.code = code;
    this.sqlState = kind.sqlState;
    this.side = kind.side;
    this.level = kind.level;
    this.detail = more.detail ?? null;
    this.hint = more.hint ?? null;
  }
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
