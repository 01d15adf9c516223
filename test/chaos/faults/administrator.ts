import { sql } from '../../support/postgres-server.js';
import { waitFor } from '../../support/processes.js';
import { fault } from './fault.js';

const BACKEND_TIMEOUT_MS = 10_000;

/** `pg_terminate_backend` on a cluster that is well: that one client must be told, and be told the truth. */
export const administrator = fault('administrator', 'administrator', 'none', {
  strike: async ({ leader, dice, victims, say }) => {
    const victim = dice.pick(victims);
    say(`an administrator ends the session of ${victim}`);
    await waitFor(
      async () => {
        const [row] = await sql(
          leader,
          'select count(*)::int as ended from (select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1) as x',
          { values: [victim] },
        );
        return Number(row?.['ended']) > 0;
      },
      { timeoutMs: BACKEND_TIMEOUT_MS, what: `a backend of ${victim}` },
    );
    return { victim };
  },
});
