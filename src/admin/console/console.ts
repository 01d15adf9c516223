import { configDefaults } from '../../config/defaults.js';
import { SwitchyardError } from '../../errors.js';
import { TrafficPeriods } from '../../metrics/traffic-periods.js';
import type { TrafficTable } from '../../metrics/traffic.js';
import type { Wire } from '../../net/wire.js';
import { isSameKey } from '../../session/cancel-key.js';
import type { ConsoleClient, ConsoleDoor } from '../../session/console-door.js';
import { packageVersion } from '../../util/package-version.js';
import type { Proxy } from '../proxy.js';
import type { ConsoleControls } from './controls.js';
import { Conversation } from './conversation.js';
import { Runner } from './runner.js';

/** Clients of the console at one time. They do not count among those of `limits.max_clients`. */
const CLIENTS_MAX = 100;
/** What the averages of SHOW STATS are about. */
const STATS_PERIOD_MS = 60_000;
/**
 * Old enough for psql not to warn of a newer server, and new enough not to warn of one that it does not know any more. What stands behind
 * the number is for people.
 */
const SERVER_VERSION = '10.0';

/** The SQL console: what clients find in the database of its name, on every listener. */
export class Console implements ConsoleDoor {
  readonly #proxy: Proxy;
  readonly #periods: TrafficPeriods;
  readonly #runner: Runner;
  readonly #version = packageVersion();
  /** Made when somebody first asks. */
  #defaults: ReadonlyMap<string, string> | null = null;
  readonly #conversations = new Map<number, Conversation>();

  /** `controls`: asked anew for each command. */
  constructor(proxy: Proxy, traffic: TrafficTable, controls: () => ConsoleControls) {
    this.#proxy = proxy;
    this.#periods = new TrafficPeriods(traffic, proxy.clock, STATS_PERIOD_MS);
    this.#runner = new Runner({
      proxy,
      controls,
      facts: () => ({
        proxy,
        periods: this.#periods,
        controls: controls(),
        defaults: () => (this.#defaults ??= configDefaults()),
        clients: [...this.#conversations.values()],
        version: this.#version,
      }),
      endClient: (id) => this.#endClient(id),
    });
  }

  refusalOf(user: string): SwitchyardError | null {
    const { users, statsUsers } = this.#proxy.config.admin;
    if (!users.includes(user) && !statsUsers.includes(user)) {
      return new SwitchyardError('login_rejected', `user "${user}" is not allowed to use the console`, {
        hint: 'admin.users and admin.stats_users in the configuration say who is.',
      });
    }
    if (this.#conversations.size < CLIENTS_MAX) return null;
    return new SwitchyardError('too_many_clients', `the console has ${CLIENTS_MAX} clients already`);
  }

  open(wire: Wire, rest: Buffer, client: ConsoleClient): void {
    const { clock, logger } = this.#proxy;
    const { processId } = client.cancelKey;
    const conversation = new Conversation(wire, client, {
      clock,
      logger,
      runner: this.#runner,
      parameters: [
        ['server_version', `${SERVER_VERSION} (Switchyard ${this.#version})`],
        ['server_encoding', 'UTF8'],
        ['client_encoding', 'UTF8'],
        ['application_name', client.applicationName],
        ['DateStyle', 'ISO'],
        ['TimeZone', 'GMT'],
        ['integer_datetimes', 'on'],
        ['standard_conforming_strings', 'on'],
        ['is_superuser', this.#proxy.config.admin.users.includes(client.user) ? 'on' : 'off'],
        ['session_authorization', client.user],
      ],
      onClosed: () => {
        this.#conversations.delete(processId);
        logger.debug({ user: client.user, id: client.id }, 'console client is gone');
      },
    });
    this.#conversations.set(processId, conversation);
    logger.info(
      { user: client.user, id: client.id, client: `${client.clientAddress}:${client.clientPort}` },
      'console client is in',
    );
    conversation.begin(rest);
  }

  isProcessIdTaken(processId: number): boolean {
    return this.#conversations.has(processId);
  }

  findByCancelKey(processId: number, key: Buffer): Conversation | null {
    const conversation = this.#conversations.get(processId);
    if (conversation === undefined) return null;
    return isSameKey(conversation.client.cancelKey.key, key) ? conversation : null;
  }

  /** Ends every client. */
  close(): void {
    this.#periods.close();
    const error = new SwitchyardError('shutting_down', 'terminating connection: the proxy was shut down');
    for (const conversation of [...this.#conversations.values()]) conversation.end(error);
  }

  #endClient(id: number): boolean {
    const conversation = [...this.#conversations.values()].find((each) => each.client.id === id);
    conversation?.end(new SwitchyardError('shutting_down', 'terminating connection due to administrator command'));
    return conversation !== undefined;
  }
}
