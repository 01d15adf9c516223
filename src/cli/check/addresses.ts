import { connect } from 'node:net';
import { formatAddress } from '../../config/address.js';
import type { HostPort } from '../../config/address.js';
import type { Config } from '../../config/schema.js';
import { messageOf } from '../../errors.js';
import { StreamListener } from '../../net/stream/stream-listener.js';
import type { StatusDocument } from '../../admin/status-document.js';
import { fetchStatus } from '../status/fetch-status.js';
import { fail, ok } from './report.js';
import type { Finding } from './report.js';

/** How long whoever has a port is asked who it is. */
const ASK_TIMEOUT_MS = 2_000;
/** Length 8 and the code of SSLRequest (PostgreSQL documentation, "Message Formats"). */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Whether every address that the proxy listens on can be had. */
export async function checkAddresses(config: Config): Promise<readonly Finding[]> {
  const { admin, listeners } = config;
  const wanted = listeners.map(({ name, address, backlog }) => ({ what: `listener ${name}`, address, backlog }));
  if (admin.enabled) wanted.push({ what: 'admin server', address: admin.address, backlog: 1 });
  const running = admin.enabled && admin.address.port !== 0 ? runningProxy(dialable(admin.address)) : null;
  return Promise.all(wanted.map(({ what, address, backlog }) => checkAddress(what, address, backlog, running)));
}

async function checkAddress(
  what: string,
  address: HostPort,
  backlog: number,
  running: Promise<StatusDocument | null> | null,
): Promise<Finding> {
  const where = formatAddress(address);
  try {
    const listener = await StreamListener.open(
      { host: address.host, port: address.port, backlog, keepAliveMs: () => 0, bufferBytes: 1 },
      (wire) => wire.destroy(),
    );
    listener.close();
    return ok(`${what}: ${where} can be bound`);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    switch (code) {
      case 'EADDRINUSE':
        return taken(what, address, (await running) ?? null);
      case 'EACCES':
        return fail(
          `${what}: ${where} may not be bound by this user`,
          'Ports below 1024 need a capability; in the systemd unit: AmbientCapabilities=CAP_NET_BIND_SERVICE',
        );
      case 'EADDRNOTAVAIL':
        return fail(
          `${what}: ${address.host} is no address of this machine`,
          'For an address that comes and goes (keepalived, vip-manager): sysctl -w net.ipv4.ip_nonlocal_bind=1',
        );
      case 'ENOTFOUND':
      case 'EAI_AGAIN':
        return fail(`${what}: the name ${address.host} cannot be looked up`);
      default:
        return fail(`${what}: ${where} cannot be bound: ${messageOf(error)}`);
    }
  }
}

async function taken(what: string, address: HostPort, running: StatusDocument | null): Promise<Finding> {
  const where = formatAddress(address);
  const isOwn = running?.listeners.some(({ port }) => port === address.port) === true || what === 'admin server';
  if (running !== null && isOwn) {
    return ok(`${what}: ${where} is served by the running proxy (switchyard ${running.version}, pid ${running.pid})`);
  }
  const who = (await speaksPostgres(dialable(address)))
    ? "something that speaks PostgreSQL's protocol: PostgreSQL itself, a pooler, or another proxy"
    : 'another program';
  return fail(`${what}: ${where} is taken by ${who}`, 'Who it is:', `  ss -ltnp 'sport = :${address.port}'`);
}

async function runningProxy(address: HostPort): Promise<StatusDocument | null> {
  try {
    return (await fetchStatus(address, ASK_TIMEOUT_MS)).status;
  } catch {
    // Nobody, or somebody else.
    return null;
  }
}

/** A server answers SSLRequest with S or N. */
function speaksPostgres(address: HostPort): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address.port, address.host);
    const finish = (speaks: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(speaks);
    };
    const timer = setTimeout(() => finish(false), ASK_TIMEOUT_MS);
    socket.on('error', () => finish(false));
    socket.on('close', () => finish(false));
    socket.on('connect', () => socket.write(SSL_REQUEST));
    socket.on('data', (chunk) => finish(chunk.length === 1 && (chunk[0] === 0x53 || chunk[0] === 0x4e)));
  });
}

/** Who listens everywhere listens on the loopback too. */
function dialable(address: HostPort): HostPort {
  const isEverywhere = address.host === '::' || address.host === '0.0.0.0';
  return isEverywhere ? { host: '127.0.0.1', port: address.port } : address;
}
