import { z } from 'zod';
import { count, duration, flag } from './fields.js';
import { POOL_MODES } from './listener-schema.js';

const BACKENDS_MAX = 100_000;

/** The section `pool`: the bounds of our connections to PostgreSQL, and who waits for how long. */
export const poolSchema = z
  .strictObject({
    mode: z
      .enum(POOL_MODES, {
        error: (issue) =>
          issue.input === 'statement' ? 'there is no pool mode statement: transaction does more' : undefined,
      })
      .prefault('session')
      .meta({
        description:
          'session: a session keeps its backend until it ends. transaction: it has one for a unit or a transaction, and shares it with others.',
      }),
    size: count(1, BACKENDS_MAX).prefault(100).meta({ description: 'Most backends per node, database and user.' }),
    min_size: count(0, BACKENDS_MAX).prefault(0).meta({
      description:
        'So many backends are kept open per node, database and user, as long as a session of that user is connected to that database.',
    }),
    reserve_size: count(0, BACKENDS_MAX).prefault(0).meta({
      description:
        'So many more than size per node, database and user, for sessions that have waited for reserve_timeout.',
    }),
    reserve_timeout: duration()
      .prefault('5s')
      .meta({ description: 'How long a session waits for a free backend before the reserve is used.' }),
    max_backends_per_node: count(0, BACKENDS_MAX)
      .prefault(0)
      .meta({ description: 'Most backends per node in total; 0 sets no limit.' }),
    max_backends_per_database: count(0, BACKENDS_MAX)
      .prefault(0)
      .meta({ description: 'Most backends per node and database, all users together; 0 sets no limit.' }),
    max_backends_per_user: count(0, BACKENDS_MAX)
      .prefault(0)
      .meta({ description: 'Most backends per node and user, in all databases together; 0 sets no limit.' }),
    max_backends: count(0, BACKENDS_MAX)
      .prefault(0)
      .meta({ description: 'Most backends on all nodes together; 0 sets no limit.' }),
    wait_timeout: duration().prefault('30s').meta({ description: 'Longest wait for a free backend; 53300 after it.' }),
    idle_timeout: duration({ min: '1s' }).prefault('60s').meta({
      description: 'A backend that nobody used for so long (up to a tenth longer) is closed, but for min_size of them.',
    }),
    max_idle: count(0, BACKENDS_MAX).prefault(20).meta({
      description:
        'Most idle backends kept per node, user, database and startup parameters. Those that sessions share (mode transaction) are bounded by size alone.',
    }),
    max_lifetime: duration({ min: '1s' }).prefault('1h').meta({
      description:
        'A backend that is older is closed as soon as no session uses it; each a little earlier than that, by up to a fifth, so that not all go at once.',
    }),
    connect_timeout: duration({ min: '10ms', max: '10m' })
      .prefault('5s')
      .meta({ description: 'Longest wait for a new backend, from the dial to the first ReadyForQuery.' }),
    login_concurrency: count(1, 1000)
      .prefault(16)
      .meta({ description: 'Most log-ins under way at one time on each node; the others wait for their turn.' }),
    max_prepared_statements: count(1, 100_000).prefault(200).meta({
      description:
        'Most prepared statements of a backend that sessions share (mode transaction); those that were used longest ago are closed, and prepared again when they are needed.',
    }),
    reuse: flag().prefault(true).meta({
      description: 'Backends are given to the next session of the same kind after a reset, instead of being closed.',
    }),
  })
  .transform((pool, context) => {
    if (pool.min_size > pool.size) {
      context.addIssue({ code: 'custom', path: ['min_size'], message: 'must not be above size' });
    }
    return {
      mode: pool.mode,
      size: pool.size,
      minSize: pool.min_size,
      reserveSize: pool.reserve_size,
      reserveTimeoutMs: pool.reserve_timeout,
      /** 0: no limit; the same for the three below. */
      maxBackendsPerNode: pool.max_backends_per_node,
      /** On each node. */
      maxBackendsPerDatabase: pool.max_backends_per_database,
      /** On each node. */
      maxBackendsPerUser: pool.max_backends_per_user,
      maxBackends: pool.max_backends,
      waitTimeoutMs: pool.wait_timeout,
      idleTimeoutMs: pool.idle_timeout,
      maxIdle: pool.max_idle,
      maxLifetimeMs: pool.max_lifetime,
      connectTimeoutMs: pool.connect_timeout,
      loginConcurrency: pool.login_concurrency,
      maxPreparedStatements: pool.max_prepared_statements,
      reuse: pool.reuse,
    };
  });
