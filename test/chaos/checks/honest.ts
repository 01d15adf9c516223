import type { Nature } from '../faults/fault.js';
import type { Activity, SeenError } from '../load/attempt.js';

/** Codes of the table below. */
const Code = {
  /** serialization_failure: rolled back, try the transaction again. */
  Retry: '40001',
  /** transaction_resolution_unknown: nobody can know. */
  InDoubt: '08007',
  /** connection_failure, of a read that broke off. */
  Broken: '08006',
  /** admin_shutdown: this session cannot go on. */
  Ended: '57P01',
  /** cannot_connect_now: no primary in time. */
  NoPrimary: '57P03',
  ReadOnly: '25006',
  /** The connection broke without a word. */
  Silence: '',
} as const;

type Connection = 'kept' | 'lost' | 'either';

interface Rule {
  readonly natures: readonly Nature[];
  readonly during: readonly Activity[];
  readonly codes: readonly string[];
  readonly connection: Connection;
  /** DETAIL must say why. */
  readonly withDetail?: boolean;
  /** Only with synchronous replication. */
  readonly whenSynchronous?: boolean;
}

const ANY_LOSS: readonly Nature[] = ['planned', 'unplanned', 'restart'];
/** What ends the node's sessions, whether open transactions were waited for or not. */
const ANY_STOP: readonly Nature[] = ['drained', ...ANY_LOSS];
const CRASH: readonly Nature[] = ['unplanned', 'restart'];

/**
 * What a client may be told, by what happened and what it was doing. Whatever is not here is a lie, a needless error, or a needlessly
 * dropped connection.
 */
const RULES: readonly Rule[] = [
  // An explicit transaction that ends with its node: once, and the connection is kept. What is behind it in state E is not counted.
  { natures: ANY_LOSS, during: ['begin', 'statement', 'commit'], codes: [Code.Retry], connection: 'kept' },
  { natures: ANY_LOSS, during: ['commit'], codes: [Code.InDoubt], connection: 'kept' },
  // A write of its own that was under way when the node died without a word; so is a SELECT, whose functions may write.
  { natures: CRASH, during: ['autocommit', 'session', 'listen'], codes: [Code.InDoubt], connection: 'kept' },
  // A stop ends a COMMIT that waits for its standby without a FATAL: it is done here, and perhaps nowhere else (PostgreSQL, syncrep.c).
  {
    natures: ANY_STOP,
    during: ['autocommit', 'commit', 'copy_in'],
    codes: [Code.InDoubt],
    connection: 'kept',
    whenSynchronous: true,
  },
  // Data that came from the client cannot be sent again: it was rolled back, or nobody knows.
  { natures: ANY_STOP, during: ['copy_in'], codes: [Code.Retry, Code.Ended], connection: 'either' },
  { natures: CRASH, during: ['copy_in'], codes: [Code.InDoubt], connection: 'kept' },
  // Rows that the client has cannot be taken back.
  { natures: ANY_STOP, during: ['stream', 'copy_out'], codes: [Code.Retry], connection: 'kept' },
  { natures: CRASH, during: ['stream', 'copy_out'], codes: [Code.Broken, Code.InDoubt], connection: 'kept' },
  // The node died in the middle of a message of which the client has the beginning: nothing can be said any more.
  { natures: CRASH, during: ['stream', 'copy_out'], codes: [Code.Silence], connection: 'lost' },
  // A session that cannot move is told why.
  { natures: ANY_STOP, during: ['pinned', 'idle'], codes: [Code.Ended], connection: 'lost', withDetail: true },
  // Whoever dials while there is nobody to let them in.
  { natures: CRASH, during: ['connect'], codes: [Code.NoPrimary], connection: 'kept' },
];

/** What surrounds an error. */
export interface Circumstances {
  readonly nature: Nature;
  readonly isSynchronous: boolean;
  /** The session that an administrator ended; null: none. */
  readonly victim: string | null;
  /** True when nobody could write to any node for longer than units are held. */
  readonly wasLongerThanHold: boolean;
}

/** Null when the error is honest and unavoidable, else what is wrong with it. */
export function judgeError(error: SeenError, circumstances: Circumstances): string | null {
  const { nature, isSynchronous, victim, wasLongerThanHold } = circumstances;
  if (error.sqlState === Code.ReadOnly) return 'a write went to a node in recovery';
  if (error.worker === victim) {
    if (error.during === 'connect') return 'the ended session could not connect again';
    // Drivers that look at the socket late see that it is closed and no more.
    return error.connectionLost && ['', Code.Ended].includes(error.sqlState)
      ? null
      : 'not what an ended session is told';
  }
  if (nature === 'restart' && isOfRestart(error)) return null;
  if (wasLongerThanHold && error.sqlState === Code.NoPrimary && !error.connectionLost) return null;
  const rules = RULES.filter((rule) => rule.natures.includes(nature) && rule.during.includes(error.during));
  const inForce = rules.filter((rule) => isSynchronous || rule.whenSynchronous !== true);
  const matching = inForce.filter((rule) => rule.codes.includes(error.sqlState));
  if (matching.length === 0) return 'not an error for this';
  const withConnection = matching.filter(({ connection }) => fits(connection, error.connectionLost));
  if (withConnection.length === 0)
    return error.connectionLost ? 'the connection was dropped' : 'the connection was kept';
  return withConnection.some((rule) => rule.withDetail !== true || error.detail !== '')
    ? null
    : 'DETAIL does not say why';
}

function fits(connection: Connection, isLost: boolean): boolean {
  return connection === 'either' || (connection === 'lost') === isLost;
}

/** The proxy went away: connections end with 57P01 or without a word, and nobody answers for a while. */
function isOfRestart(error: SeenError): boolean {
  if (error.during === 'connect') return ['', Code.Ended, Code.NoPrimary].includes(error.sqlState);
  if (error.connectionLost) return ['', Code.Ended, Code.InDoubt].includes(error.sqlState);
  return [Code.Ended, Code.InDoubt].some((code) => code === error.sqlState);
}
