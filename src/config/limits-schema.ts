import { z } from 'zod';
import { count, duration, size } from './fields.js';

/** The kernel counts in seconds. */
const KEEPALIVE_MS_MIN = 1_000;
/** Time-outs that are off are 0. */
const offByDefault = () => duration({ min: '0' }).prefault('0');

export const limitsSchema = z
  .strictObject({
    max_clients: count(1, 1_000_000)
      .prefault(10_000)
      .meta({ description: 'Most clients at one time; 53300 above it.' }),
    message: size({ min: '64kB', max: '1GB' })
      .prefault('1GB')
      .meta({ description: 'Longest message of the protocol that is passed on.' }),
    inspect: size({ min: '1kB', max: '64MB' })
      .prefault('256kB')
      .meta({ description: 'Longest statement that is read for what it does to the session.' }),
    startup_timeout: duration({ min: '100ms', max: '10m' })
      .prefault('15s')
      .meta({ description: 'Longest time from accept to the end of the log-in; 08P01 after it.' }),
    prepared_statements: count(1, 1_000_000)
      .prefault(1000)
      .meta({ description: 'Most prepared statements of one session.' }),
    client_buffer: size({ min: '4kB', max: '16MB' })
      .prefault('64kB')
      .meta({ description: 'Unsent bytes at which a slow reader makes the other side stop.' }),
    client_idle_timeout: offByDefault().meta({
      description:
        'A client that says nothing for so long outside of a transaction is ended with 57P05; 0 is never. Not one that listens.',
    }),
    idle_transaction_timeout: offByDefault().meta({
      description:
        'A client that says nothing for so long inside of a transaction is ended with 25P03, and the transaction is rolled back; 0 is never.',
    }),
    transaction_timeout: offByDefault().meta({
      description:
        'A client whose transaction is open for so long is ended with 25P04, whatever it does in it; 0 is never.',
    }),
    query_timeout: offByDefault().meta({
      description:
        'A statement that a node has worked on for so long is cancelled with 57014, and the session goes on; 0 is never. Waits in the proxy do not count.',
    }),
    query_cancel_timeout: duration({ min: '100ms', max: '10m' }).prefault('5s').meta({
      description: 'How long a node may take to cancel a statement for query_timeout before its connection is cut.',
    }),
    tcp_keepalive: duration({ max: '2h' }).prefault('15s').meta({
      description: 'Idle time after which a connection is tested by TCP keep-alive, at least 1s; 0 turns it off.',
    }),
    tcp_user_timeout: offByDefault().meta({
      description: 'A client or node that takes none of the bytes that wait for it for so long is cut off; 0 is never.',
    }),
  })
  .transform((limits, context) => {
    if (limits.inspect > limits.message) {
      context.addIssue({ code: 'custom', path: ['inspect'], message: 'must not be above message' });
    }
    if (limits.tcp_keepalive > 0 && limits.tcp_keepalive < KEEPALIVE_MS_MIN) {
      context.addIssue({ code: 'custom', path: ['tcp_keepalive'], message: 'must be 0 or at least 1s' });
    }
    return {
      maxClients: limits.max_clients,
      messageBytes: limits.message,
      inspectBytes: limits.inspect,
      startupTimeoutMs: limits.startup_timeout,
      preparedStatements: limits.prepared_statements,
      clientBufferBytes: limits.client_buffer,
      clientIdleTimeoutMs: limits.client_idle_timeout,
      idleTransactionTimeoutMs: limits.idle_transaction_timeout,
      transactionTimeoutMs: limits.transaction_timeout,
      queryTimeoutMs: limits.query_timeout,
      queryCancelTimeoutMs: limits.query_cancel_timeout,
      /** 0: no keep-alive. */
      tcpKeepaliveMs: limits.tcp_keepalive,
      tcpUserTimeoutMs: limits.tcp_user_timeout,
    };
  });
