import { SwitchyardError } from '../errors.js';
import type { Backend } from './backend.js';
import { NodeError } from './node-error.js';
import { ownQuery } from './own-query.js';

/** What a primary must show on the very connection that is to carry writes. */
export interface PrimaryProof {
  /** Null: not known yet, so anything is accepted. */
  readonly systemIdentifier: string | null;
  /** The highest timeline that a primary of this cluster was ever seen on. */
  readonly timelineMin: number;
}

const PROOF_SQL =
  'SELECT pg_catalog.pg_is_in_recovery(), system_identifier, ' +
  'CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ' +
  'ELSE pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END FROM pg_catalog.pg_control_system()';

/** The first eight hexadecimal digits of a WAL file's name are its timeline. */
const TIMELINE_DIGITS = 8;

/** Answer of IDENTIFY_SYSTEM: systemid, timeline, xlogpos, dbname (documentation, "Streaming Replication Protocol"). */
const IDENTIFY_SQL = 'IDENTIFY_SYSTEM';

/**
 * Asks a fresh backend for the proof; a replication connection is asked with replication commands. Fails with `not_the_primary` when the
 * node is in recovery, belongs to another cluster, or lives on an old timeline: such a backend must never get a write.
 */
export async function provePrimary(
  backend: Backend,
  proof: PrimaryProof,
  isReplication: boolean,
  timeoutMs: number,
): Promise<void> {
  const node = backend.identity.node;
  const hotStandby = backend.parameters.get('in_hot_standby');
  if (hotStandby === 'on') throw new SwitchyardError('not_the_primary', `node ${node} is in recovery`);
  if (isReplication) {
    const row = (await ownQuery(backend, IDENTIFY_SQL, timeoutMs))[0];
    checkIdentity(node, row?.[0] ?? '', Number(row?.[1]), proof);
    backend.isProvenPrimary = true;
    return;
  }
  const row = await ownQuery(backend, PROOF_SQL, timeoutMs).then(
    (rows) => rows[0],
    (error: unknown) => {
      // Recovery may have ended or begun between the two halves of the question.
      if (error instanceof NodeError && error.sqlState === '55000') {
        throw new SwitchyardError('not_the_primary', `node ${node} is changing its role`, { cause: error });
      }
      if (error instanceof NodeError && error.sqlState === '42501') {
        throw new SwitchyardError(
          'backend_login_failed',
          `node ${node} cannot prove that it is the primary: ${error.message}`,
          {
            hint: 'GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO PUBLIC;',
            cause: error,
          },
        );
      }
      throw error;
    },
  );
  if (row?.[0] !== 'f') throw new SwitchyardError('not_the_primary', `node ${node} is in recovery`);
  checkIdentity(node, row[1] ?? '', Number.parseInt((row[2] ?? '').slice(0, TIMELINE_DIGITS), 16), proof);
  backend.isProvenPrimary = true;
}

function checkIdentity(node: string, systemIdentifier: string, timeline: number, proof: PrimaryProof): void {
  if (proof.systemIdentifier !== null && systemIdentifier !== proof.systemIdentifier) {
    throw new SwitchyardError(
      'not_the_primary',
      `node ${node} has the system identifier ${systemIdentifier}, the cluster has ${proof.systemIdentifier}`,
    );
  }
  if (!(timeline >= proof.timelineMin)) {
    throw new SwitchyardError(
      'not_the_primary',
      `node ${node} is on timeline ${timeline}, the cluster is on ${proof.timelineMin}`,
    );
  }
}
