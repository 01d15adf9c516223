import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { formatAddress } from '../config/address.js';
import type { HostPort } from '../config/address.js';
import { messageOf } from '../errors.js';
import { EventLoopDelay } from '../metrics/event-loop-delay.js';
import type { MetricsRegistry } from '../metrics/registry.js';
import { packageVersion } from '../util/package-version.js';
import { Actions } from './actions.js';
import { answerExplain } from './explain-route.js';
import { TEXT_TYPE, json } from './http-answer.js';
import type { Answer, StreamedAnswer } from './http-answer.js';
import { buildMetrics } from './metrics.js';
import { promotionOf } from './promotion-document.js';
import type { PromotionsDocument } from './promotion-document.js';
import type { Proxy } from './proxy.js';
import { readinessOf } from './readiness.js';
import { listSessions, readSessionsWish } from './sessions.js';
import { dcsOf, statusOf } from './status.js';

/** Connections at one time; more are closed at once. */
const CONNECTIONS_MAX = 128;
const HEADER_BYTES_MAX = 8 * 1024;
const HEADERS_MAX = 100;
/** From the first byte of a request (or the accept) to the end of its header. */
const HEADERS_TIMEOUT_MS = 5_000;
/** The same to the end of its body, which is not read. */
const REQUEST_TIMEOUT_MS = 10_000;
/** How often the two above are looked at. */
const TIMEOUT_LOOK_MS = 1_000;
/** From the request to the last byte of the answer in the client's hands. */
const RESPONSE_TIMEOUT_MS = 10_000;
/** How long a connection may stay open between two requests; longer than scrapes usually are apart. */
const KEEP_ALIVE_MS = 20_000;

/** Nothing here is a page, and nothing is to be kept. */
const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const;

type Route = (query: URLSearchParams) => Answer | Promise<Answer>;

/**
 * The HTTP server for metrics and health, and for the few things that operators ask of a running proxy. What it shows needs no log-in
 * and holds no secret and no statement; who may ask it to do something is decided in `gatekeeper.ts`.
 */
export class AdminServer {
  readonly #proxy: Proxy;
  readonly #server: Server;
  readonly #version: string;
  readonly #startedAtMs: number;
  readonly #loop: EventLoopDelay;
  readonly #metrics: MetricsRegistry;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #actions: Actions;

  private constructor(proxy: Proxy) {
    this.#proxy = proxy;
    this.#version = packageVersion();
    this.#startedAtMs = proxy.clock.nowMs();
    this.#loop = new EventLoopDelay(proxy.clock);
    this.#metrics = buildMetrics(proxy, this.#loop, this.#version);
    this.#actions = new Actions(proxy);
    this.#routes = new Map<string, Route>([
      ['/', () => this.#index()],
      ['/livez', () => json(200, { status: 'alive' })],
      ['/readyz', (query) => this.#readyz(query)],
      ['/metrics', async () => ({ status: 200, type: this.#metrics.contentType, body: await this.#metrics.text() })],
      ['/api/v1/status', () => json(200, statusOf(proxy, this.#version, this.#startedAtMs))],
      ['/api/v1/promotions', () => json(200, promotionsOf(proxy))],
      ['/api/v1/explain', (query) => answerExplain(query, proxy.explain, proxy.clock)],
      ['/api/v1/sessions', (query) => this.#sessions(query)],
    ]);
    this.#server = createServer(
      {
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        connectionsCheckingInterval: TIMEOUT_LOOK_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
      },
      (request, response) => void this.#answer(request, response),
    );
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.maxHeadersCount = HEADERS_MAX;
  }

  /** Listens; fails when the address cannot be had, and then nothing stays open. */
  static open(proxy: Proxy, address: HostPort): Promise<AdminServer> {
    const admin = new AdminServer(proxy);
    const server = admin.#server;
    return new Promise((resolve, reject) => {
      server.once('error', (error) => {
        admin.#loop.close();
        const where = formatAddress(address);
        reject(new Error(`the admin server cannot listen on ${where}: ${error.message}`, { cause: error }));
      });
      server.listen({ host: address.host, port: address.port }, () => {
        server.removeAllListeners('error');
        // An error of accept (no file descriptor left) must not end the process.
        server.on('error', () => {});
        resolve(admin);
      });
    });
  }

  /** The bound port, also when 0 was asked for. */
  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  /** Ends every connection at once. */
  async close(): Promise<void> {
    this.#loop.close();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { clock, logger } = this.#proxy;
    // A reader that takes the answer by drops would hold one of the few connections for ever.
    let timer = clock.setTimer(RESPONSE_TIMEOUT_MS, () => response.destroy());
    response.once('close', () => clock.clearTimer(timer));
    response.on('error', () => {});
    let answer: Answer | StreamedAnswer;
    try {
      answer = await this.#route(request);
    } catch (error) {
      logger.error({ path: request.url?.split('?')[0], error: messageOf(error) }, 'an admin request failed');
      answer = json(500, { error: 'internal error' });
    }
    const head = {
      ...SECURITY_HEADERS,
      ...headersOf(answer.status, this.#isAction(request)),
      'content-type': answer.type,
    };
    if ('write' in answer) {
      clock.clearTimer(timer);
      timer = clock.setTimer(answer.timeoutMs, () => response.destroy());
      response.writeHead(answer.status, { ...head, connection: 'close' });
      answer.write(response);
      return;
    }
    const body = Buffer.from(answer.body);
    // A body that nobody wants is not read to its end.
    const isUnread = hasBody(request) && !request.complete;
    response.writeHead(answer.status, {
      ...head,
      'content-length': body.length,
      ...(isUnread ? { connection: 'close' } : {}),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  #isAction(request: IncomingMessage): boolean {
    return this.#actions.has(pathOf(request).path);
  }

  #route(request: IncomingMessage): Answer | Promise<Answer | StreamedAnswer> {
    const { path, query } = pathOf(request);
    if (this.#actions.has(path)) {
      if (request.method === 'POST') return this.#actions.run(path, request);
      return json(405, { error: 'this is done with POST' });
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return json(405, { error: 'only GET and HEAD are answered here' });
    }
    const route = this.#routes.get(path);
    return route === undefined
      ? json(404, { error: 'there is nothing here', paths: [...this.#routes.keys(), ...this.#actions.paths] })
      : route(new URLSearchParams(query));
  }

  #readyz(query: URLSearchParams): Answer {
    const proxy = this.#proxy;
    const wanted = query.get('listener');
    const listener = proxy.listeners.find(({ name }) => name === wanted) ?? null;
    if (wanted !== null && listener === null) {
      return json(404, { error: 'there is no such listener', listeners: proxy.listeners.map(({ name }) => name) });
    }
    const { isReady, reason, checks } = readinessOf(proxy, listener);
    return json(isReady ? 200 : 503, {
      status: isReady ? 'ready' : 'not ready',
      reason,
      checks,
      dcs: dcsOf(proxy),
      phase: proxy.conductor.phase,
    });
  }

  #sessions(query: URLSearchParams): Answer {
    const { registry, clock } = this.#proxy;
    const wish = readSessionsWish(query);
    if (typeof wish === 'string') return json(400, { error: wish });
    return json(200, listSessions(registry.all(), wish, registry.size, clock.nowMs()));
  }

  #index(): Answer {
    const lines = [
      `switchyard ${this.#version}, cluster ${this.#proxy.config.cluster.scope}`,
      '',
      '/metrics          for Prometheus',
      '/livez            200 while the program runs',
      '/readyz           200 while clients should be sent here; /readyz?listener=NAME for one listener',
      '/api/v1/status    nodes, listeners and sessions as JSON; "switchyard status" shows it as a table',
      '/api/v1/promotions   the last changes of the primary, phase by phase',
      '/api/v1/sessions  who is there, on which nodes, and why; /api/v1/sessions?user=NAME&database=NAME&listener=NAME&node=NAME',
      '/api/v1/explain   where a statement goes, and why; /api/v1/explain?database=NAME&sql=TEXT',
      'POST /api/v1/drain   empties a node that is about to be stopped; see "switchyard drain"',
      'POST /api/v1/pause, resume, reconnect, disable, enable   as the commands of the console, for {"database": NAME}',
    ];
    return { status: 200, type: TEXT_TYPE, body: `${lines.join('\n')}\n` };
  }
}

function pathOf(request: IncomingMessage): { readonly path: string; readonly query: string } {
  const [path = '/', query = ''] = (request.url ?? '/').split(/\?(.*)/s);
  return { path, query };
}

function promotionsOf({ conductor }: Proxy): PromotionsDocument {
  const { current, records } = conductor.records;
  return { current: current === null ? null : promotionOf(current), promotions: records.map(promotionOf) };
}

function headersOf(status: number, isAction: boolean): Readonly<Record<string, string>> {
  if (status === 405) return { allow: isAction ? 'POST' : 'GET, HEAD' };
  return status === 401 ? { 'www-authenticate': 'Bearer' } : {};
}

function hasBody(request: IncomingMessage): boolean {
  return 'transfer-encoding' in request.headers || (request.headers['content-length'] ?? '0') !== '0';
}
