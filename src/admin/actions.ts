import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { nodeName } from '../util/brand.js';
import { drainCancelSchema, drainOf, drainRequestSchema, forgetPastSchema } from './drain-document.js';
import { DrainWaits } from './drain-waits.js';
import { whyRefused } from './gatekeeper.js';
import { json } from './http-answer.js';
import type { Answer, StreamedAnswer } from './http-answer.js';
import { pauseActions } from './pause-actions.js';
import type { PauseAction } from './pause-actions.js';
import type { Proxy } from './proxy.js';
import { readJson } from './request-body.js';

type Action = (body: unknown, peer: string) => Answer | StreamedAnswer;

/** What the admin server can be asked to do. Everything that is done, or refused, is logged with who asked. */
export class Actions {
  readonly #proxy: Proxy;
  readonly #waits: DrainWaits;
  readonly #byPath: ReadonlyMap<string, Action>;

  constructor(proxy: Proxy) {
    this.#proxy = proxy;
    this.#waits = new DrainWaits(proxy);
    this.#byPath = new Map<string, Action>([
      ['/api/v1/drain', (body, peer) => this.#drain(body, peer)],
      ['/api/v1/drain/cancel', (body, peer) => this.#cancel(body, peer)],
      ['/api/v1/forget-past', (body, peer) => this.#forgetPast(body, peer)],
      ...pauseActions(proxy).map((action): [string, Action] => [
        action.path,
        (body, peer) => this.#pause(action, body, peer),
      ]),
    ]);
  }

  get paths(): readonly string[] {
    return [...this.#byPath.keys()];
  }

  has(path: string): boolean {
    return this.#byPath.has(path);
  }

  async run(path: string, request: IncomingMessage): Promise<Answer | StreamedAnswer> {
    const { config, logger } = this.#proxy;
    const peer = request.socket.remoteAddress;
    const refused = whyRefused(request.headers, peer, config.admin);
    if (refused !== null) {
      logger.warn({ path, peer, error: refused.error }, 'an admin action was refused');
      return json(refused.status, { error: refused.error });
    }
    const action = this.#byPath.get(path);
    if (action === undefined) return json(404, { error: 'there is nothing here' });
    const body = await readJson(request);
    if (!body.ok) return json(400, { error: body.problem });
    return action(body.value, peer ?? 'unknown');
  }

  #drain(body: unknown, peer: string): Answer | StreamedAnswer {
    const { watch, conductor, logger, registry, clock, isStopping } = this.#proxy;
    const wish = drainRequestSchema.safeParse(body);
    if (!wish.success) return json(400, { error: problemOf(wish.error) });
    const { node: named, firm, wait, timeoutMs } = wish.data;
    const { view } = watch.store;
    const name = named === undefined ? view.primary : nodeName(named);
    if (name === null) return json(409, { error: `there is no primary: ${view.noPrimaryReason ?? 'it is not known'}` });
    if (!view.nodes.has(name)) {
      return json(404, { error: `there is no node "${name}"`, nodes: [...view.nodes.keys()] });
    }
    if (isStopping) return json(409, { error: 'the proxy is shutting down: its sessions leave every node' });
    if (wait && this.#waits.isFull) return json(429, { error: 'too many wait for a drain already' });
    logger.info({ peer, node: name, firm, wait, timeoutMs }, 'a drain was asked for');
    const order = conductor.drains.begin({ node: name, isFirm: firm, timeoutMs });
    return wait ? this.#waits.answer(order, timeoutMs) : json(202, drainOf(order, registry, clock.nowMs()));
  }

  #cancel(body: unknown, peer: string): Answer {
    const { conductor, logger } = this.#proxy;
    const wish = drainCancelSchema.safeParse(body);
    if (!wish.success) return json(400, { error: problemOf(wish.error) });
    const { node } = wish.data;
    const cancelled = conductor.drains.cancel(node === undefined ? null : nodeName(node));
    logger.info({ peer, node: node ?? 'all', cancelled }, 'the end of a drain was asked for');
    return json(200, { cancelled });
  }

  #pause({ path, schema, run }: PauseAction, body: unknown, peer: string): Answer {
    const wish = schema.safeParse(body);
    if (!wish.success) return json(400, { error: problemOf(wish.error) });
    const database = wish.data.database ?? null;
    this.#proxy.logger.info(
      { peer, path, database: database ?? 'all' },
      'an operator asks for something about databases',
    );
    return run(database);
  }

  #forgetPast(body: unknown, peer: string): Answer {
    const { watch, config, logger } = this.#proxy;
    const wish = forgetPastSchema.safeParse(body);
    if (!wish.success) return json(400, { error: problemOf(wish.error) });
    if (wish.data.cluster !== config.cluster.scope) {
      return json(409, { error: `this is the proxy of cluster "${config.cluster.scope}"` });
    }
    const timeline = watch.store.view.highestTimeline;
    logger.warn({ peer, timeline }, 'it was asked that the timelines seen so far be forgotten');
    watch.store.forgetPast();
    const { view } = watch.store;
    return json(200, { timelineBefore: timeline, timeline: view.highestTimeline, primary: view.primary });
  }
}

function problemOf(error: z.ZodError): string {
  const issue = error.issues[0];
  const place = issue?.path.join('.') ?? '';
  return `${place === '' ? '' : `${place}: `}${issue?.message ?? 'is not understood'}`;
}
