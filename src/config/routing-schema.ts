import { z } from 'zod';
import { count, duration, flag, functionName, size, text } from './fields.js';

/** What reads on standbys may miss of what was written before. */
export const CONSISTENCIES = ['session', 'eventual', 'database'] as const;

/** Most functions that one list can name. */
const FUNCTIONS_MAX = 10_000;

/** `routing`: when a standby is fresh enough, and which reads go to which one. */
export const routingSchema = z
  .strictObject({
    max_lag: duration({ min: '1ms', max: '1d' })
      .prefault('10s')
      .meta({ description: 'A standby that is further behind in time gets no new work.' }),
    max_lag_bytes: size({ min: '1B', max: '1024TB' })
      .prefault('16MB')
      .meta({ description: 'A standby that has more WAL left to replay gets no new work.' }),
    recover_lag: duration({ max: '1d' }).optional().meta({
      description: 'A lagging standby comes back when it is at most so far behind; half of max_lag when left out.',
    }),
    recover_lag_bytes: size({ max: '1024TB' })
      .optional()
      .meta({ description: 'The same in bytes of WAL; half of max_lag_bytes when left out.' }),
    lag_samples: count(1, 100)
      .prefault(3)
      .meta({ description: 'Samples in a row that must agree before the health of a node changes.' }),
    min_dwell: duration({ max: '1h' })
      .prefault('2s')
      .meta({ description: 'Least time that a node stays lagging or unreachable before it is healthy again.' }),
    require_streaming: flag()
      .prefault(true)
      .meta({ description: 'A standby that receives no WAL stream (archive recovery only) gets no new work.' }),
    warm_up: duration({ max: '1h' })
      .prefault('1s')
      .meta({ description: 'How long a standby must have been healthy after its start before it gets work.' }),
    rebalance: z.enum(['off', 'stale']).prefault('stale').meta({
      description:
        'stale: sessions leave a standby that grew stale at their next boundary, and come home from the fallback primary. off: they stay.',
    }),
    zone: text().optional().meta({
      description:
        'Where this proxy stands: standbys whose tag zone says the same are taken first, the others when none of those can be.',
    }),
    slow_start: duration({ max: '1h' }).prefault('10s').meta({
      description:
        'How long the share of a standby that has just become healthy rises, from a tenth to the whole of it.',
    }),
    stickiness: z.enum(['session', 'none']).prefault('session').meta({
      description:
        'Split listeners. session: a session reads from one standby as long as that may take reads. none: each read goes to the standby with the fewest units under way.',
    }),
    consistency: z.enum(CONSISTENCIES).prefault('session').meta({
      description:
        'Split listeners. What reads on standbys never miss. session: what their session has written or seen. database: also what others of this consistency have written in their database, through this process. eventual: nothing but what max_lag promises.',
    }),
    fence_wait: duration({ max: '10s' }).prefault('50ms').meta({
      description:
        'Split listeners. How long a read may wait for a standby that has what its session has seen, instead of going to the primary; 0 waits never.',
    }),
    read_functions: z.array(functionName()).max(FUNCTIONS_MAX).prefault([]).meta({
      description:
        'Split listeners. Functions that change nothing although PostgreSQL takes them for volatile: name, or schema.name. Reads that call them may go to standbys.',
      'x-type': 'list of names',
    }),
    write_functions: z.array(functionName()).max(FUNCTIONS_MAX).prefault([]).meta({
      description:
        'Split listeners. Functions that must run on the primary although PostgreSQL does not take them for volatile: name, or schema.name.',
      'x-type': 'list of names',
    }),
    catalog_refresh: duration({ min: '1s', max: '1d' }).prefault('60s').meta({
      description:
        'Split listeners. How often the functions, operators and views of a database are looked at again; DDL of a split session has it done at once.',
    }),
    standby_idle: duration({ min: '1s' }).prefault('60s').meta({
      description:
        'Split listeners. A session gives its backend on a standby back when it has not read there for so long.',
    }),
  })
  .transform((routing, context) => {
    for (const [low, high] of [
      ['recover_lag', 'max_lag'],
      ['recover_lag_bytes', 'max_lag_bytes'],
    ] as const) {
      if ((routing[low] ?? 0) > routing[high]) {
        context.addIssue({ code: 'custom', path: [low], message: `must not be above ${high}` });
      }
    }
    for (const [index, name] of routing.write_functions.entries()) {
      if (routing.read_functions.includes(name)) {
        const message = `${name} is in read_functions too: keep one of them`;
        context.addIssue({ code: 'custom', path: ['write_functions', index], message });
      }
    }
    return {
      maxLagMs: routing.max_lag,
      maxLagBytes: routing.max_lag_bytes,
      recoverLagMs: routing.recover_lag ?? Math.floor(routing.max_lag / 2),
      recoverLagBytes: routing.recover_lag_bytes ?? Math.floor(routing.max_lag_bytes / 2),
      lagSamples: routing.lag_samples,
      minDwellMs: routing.min_dwell,
      requireStreaming: routing.require_streaming,
      warmUpMs: routing.warm_up,
      rebalance: routing.rebalance,
      /** Null: this proxy stands nowhere in particular. */
      zone: routing.zone ?? null,
      slowStartMs: routing.slow_start,
      stickiness: routing.stickiness,
      /** For split listeners that do not say. */
      consistency: routing.consistency,
      /** 0: reads do not wait. */
      fenceWaitMs: routing.fence_wait,
      /** `name` or `schema.name` as SQL writes them, in lower case unless they are in quotes. */
      readFunctions: routing.read_functions,
      writeFunctions: routing.write_functions,
      catalogRefreshMs: routing.catalog_refresh,
      standbyIdleMs: routing.standby_idle,
    };
  });
