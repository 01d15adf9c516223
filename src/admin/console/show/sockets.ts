import type { Backend } from '../../../backend/backend.js';
import { CONSOLE_DATABASE } from '../../../session/console-door.js';
import type { Session } from '../../../session/session.js';
import { activityOf, SessionActivity } from '../../census.js';
import { columns, secondsAndRest, timeOf } from '../facts.js';
import type { ConsoleFacts, Table } from '../facts.js';
import type { Row } from '../../../protocol/row-messages.js';
import type { Proxy } from '../../proxy.js';

/** PgBouncer's columns of connections, those of its SOCKETS behind them. */
const OF_SOCKETS = columns(
  ['text', 'type user database replication state addr'],
  ['int4', 'port'],
  ['text', 'local_addr'],
  ['int4', 'local_port'],
  ['text', 'connect_time request_time'],
  ['int4', 'wait wait_us close_needed'],
  ['text', 'ptr link'],
  ['int4', 'remote_pid'],
  ['text', 'tls application_name'],
  ['int4', 'prepared_statements id'],
);
const OF_BUFFERS = columns(['int4', 'recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail']);
const OF_CLIENTS = columns(['text', 'listener route activity node waits_for pin']);
const OF_SERVERS = columns(['text', 'node target use']);

interface Socket {
  readonly row: Row;
  /** For OF_CLIENTS or OF_SERVERS. */
  readonly more: Row;
  readonly pendingBytes: number;
  readonly state: string;
}

export const clients: Table = {
  columns: [...OF_SOCKETS, ...OF_CLIENTS],
  *rows(facts) {
    for (const { row, more } of clientSockets(facts)) yield [...row, ...more];
  },
};

export const servers: Table = {
  columns: [...OF_SOCKETS, ...OF_SERVERS],
  *rows(facts) {
    for (const { row, more } of serverSockets(facts)) yield [...row, ...more];
  },
};

export const sockets: Table = {
  columns: [...OF_SOCKETS, ...OF_BUFFERS],
  *rows(facts) {
    for (const socket of clientSockets(facts)) yield bufferRow('cl', socket);
    for (const socket of serverSockets(facts)) yield bufferRow('sv', socket);
  },
};

/** Those with bytes that have not gone out. */
export const activeSockets: Table = {
  columns: sockets.columns,
  *rows(facts) {
    for (const socket of clientSockets(facts)) if (socket.pendingBytes > 0) yield bufferRow('cl', socket);
    for (const socket of serverSockets(facts)) if (socket.pendingBytes > 0) yield bufferRow('sv', socket);
  },
};

/** The buffers of this program have no positions; what can be told is what waits to be sent. */
function bufferRow(side: 'cl' | 'sv', { row, state, pendingBytes }: Socket): Row {
  const named = row.with(
    OF_SOCKETS.findIndex(({ name }) => name === 'state'),
    `${side}_${state}`,
  );
  return [...named, 0, 0, 0, 0, 0, 0, pendingBytes];
}

function* clientSockets(facts: ConsoleFacts): Generator<Socket> {
  const { proxy } = facts;
  for (const session of proxy.registry.all()) yield clientSocket(session, proxy);
  for (const talking of facts.clients) {
    const { client } = talking;
    const [address, port] = localOf(client.listener, proxy);
    const state = talking.isBusy ? 'active' : 'idle';
    yield {
      row: [
        ...['C', client.user, CONSOLE_DATABASE, 'none', state],
        ...[client.clientAddress, client.clientPort, address, port],
        ...[timeOf(talking.startedAtMs, proxy), timeOf(talking.lastBeginMs, proxy)],
        ...[0, 0, 0, clientPtr(client.id), '', 0, '', client.applicationName, talking.prepared, client.id],
      ],
      more: [client.listener, 'console', state, null, null, null],
      pendingBytes: talking.pendingBytes,
      state,
    };
  }
}

function clientSocket(session: Session, proxy: Proxy): Socket {
  const { identity, waitSinceMs, wait, backend } = session;
  const nowMs = proxy.clock.nowMs();
  const activity = activityOf(session);
  const [address, port] = localOf(identity.listener, proxy);
  // As PgBouncer has it: active is whoever has a connection to a server, also where nothing runs on it.
  const state = activity === SessionActivity.Waiting ? 'waiting' : backend === null ? 'idle' : 'active';
  return {
    row: [
      ...['C', identity.user, identity.database, replicationOf(session), state],
      ...[identity.clientAddress, identity.clientPort, address, port],
      ...[timeOf(session.startedAtMs, proxy), timeOf(session.traffic.lastBeginMs, proxy)],
      ...secondsAndRest(waitSinceMs === null ? 0 : nowMs - waitSinceMs),
      ...[0, clientPtr(session.id), backend === null ? '' : serverPtr(backend), 0, '', identity.applicationName],
      ...[session.state.prepared.size, session.id],
    ],
    more: [
      ...[identity.listener, session.intent.route, activity, session.node],
      ...[activity === SessionActivity.Waiting ? `${wait ?? ''}: ${session.waitReason}` : null, session.pinReason],
    ],
    pendingBytes: session.wire.pendingBytes,
    state,
  };
}

function* serverSockets({ proxy }: ConsoleFacts): Generator<Socket> {
  for (const session of proxy.registry.all()) {
    for (const { backend, target } of session.berths) {
      const use = backend === session.backend ? 'attached' : 'parked';
      yield serverSocket(backend, 'active', session, [target, use], proxy);
    }
  }
  for (const backend of proxy.pool.idle()) yield serverSocket(backend, 'idle', null, [null, 'idle'], proxy);
}

function serverSocket(backend: Backend, state: string, session: Session | null, more: Row, proxy: Proxy): Socket {
  const { identity, wire, processId } = backend;
  return {
    row: [
      ...['S', identity.user, identity.database, session === null ? 'none' : replicationOf(session), state],
      // Where the system has put our end of it is not known.
      ...[identity.host, identity.port, '', 0],
      ...[timeOf(backend.openedAtMs, proxy), timeOf(session?.traffic.lastBeginMs ?? 0, proxy)],
      ...[0, 0, 0, serverPtr(backend), session === null ? '' : clientPtr(session.id), processId, ''],
      ...[session?.identity.applicationName ?? '', null, processId],
    ],
    more: [identity.node, ...more],
    pendingBytes: wire.pendingBytes,
    state,
  };
}

function replicationOf({ identity }: Session): string {
  if (!identity.isReplication) return 'none';
  return identity.parameters.get('replication')?.toLowerCase() === 'database' ? 'logical' : 'physical';
}

/** Names that tell connections apart, and can be joined by. */
function clientPtr(id: number): string {
  return `client-${id}`;
}

function serverPtr({ identity, processId }: Backend): string {
  return `${identity.node}-${processId}`;
}

function localOf(name: string, { listeners }: Proxy): readonly [address: string, port: number] {
  const listener = listeners.find((each) => each.name === name);
  return [listener?.host ?? '', listener?.port ?? 0];
}
