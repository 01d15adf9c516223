import { SwitchyardError } from '../../errors.js';
import type { Column, Row } from '../../protocol/row-messages.js';
import { CONSOLE_DATABASE } from '../../session/console-door.js';
import type { Proxy } from '../proxy.js';
import { HELP } from './command.js';
import type { Action, Command } from './command.js';
import type { ConsoleControls } from './controls.js';
import { EXPLAIN_COLUMNS, explainRows } from './explain-table.js';
import { columns } from './facts.js';
import type { ConsoleFacts } from './facts.js';
import { TABLES } from './show/tables.js';

/** Who asks for something. */
export interface Asker {
  readonly user: string;
  /** `host:port`. */
  readonly address: string;
  /** Aborts when the client goes away, or cancels. */
  readonly signal: AbortSignal;
  /** Says something beside the answer, at once. */
  notice(message: string, detail?: string): void;
}

/** What became of it. */
export interface Outcome {
  /** Null: there is none, also no empty one. */
  readonly rows: Iterable<Row> | null;
  /** Of CommandComplete. */
  readonly tag: string;
}

/** What the console needs of the program around it. */
export interface RunnerParts {
  readonly proxy: Proxy;
  readonly controls: () => ConsoleControls;
  readonly facts: () => ConsoleFacts;
  /** Ends a client of the console; false: there is none with this id. */
  readonly endClient: (id: number) => boolean;
}

type Given = Extract<Command, { kind: 'action' }>;
type Act = (given: Given, asker: Asker) => void | Promise<void>;

/** Commands about a database whose name stands behind them; the console has none that could be paused. */
const ABOUT_DATABASES: ReadonlySet<Action> = new Set<Action>([
  'DISABLE',
  'ENABLE',
  'KILL',
  'PAUSE',
  'RECONNECT',
  'RESUME',
  'WAIT_CLOSE',
]);

/** What a command gives; null: no table. */
export function columnsOf(command: Command | null): readonly Column[] | null {
  switch (command?.kind) {
    case 'show':
      return TABLES[command.what].columns;
    case 'setting':
      return columns(['text', command.name]);
    case 'explain':
      return EXPLAIN_COLUMNS;
    default:
      return null;
  }
}

/** Does what the console is asked for, or refuses it. */
export class Runner {
  readonly #parts: RunnerParts;
  readonly #acts: Readonly<Record<Given['action'], Act>>;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    const { controls } = parts;
    this.#acts = {
      DISABLE: ({ name }) => controls().disable(name ?? ''),
      DRAIN: ({ name }) => controls().drain(name ?? ''),
      ENABLE: ({ name }) => controls().enable(name ?? ''),
      KILL: ({ name }) => controls().kill(name),
      KILL_CLIENT: ({ name }) => this.#killClient(name ?? ''),
      PAUSE: ({ name }, asker) => controls().pause(name, (waitsFor) => asker.notice(waitsFor), asker.signal),
      RECONNECT: ({ name }) => controls().reconnect(name),
      RELOAD: async (_given, asker) => say(await controls().reload(), asker),
      RESUME: ({ name }) => controls().resume(name),
      SWITCHOVER: async ({ name }, asker) => say(await controls().switchover(name ?? ''), asker),
      UNDRAIN: ({ name }) => controls().undrain(name ?? ''),
      WAIT_CLOSE: ({ name }, asker) => controls().waitClose(name, asker.signal),
    };
  }

  /** @throws SwitchyardError where it is not allowed, or cannot be done */
  async run(command: Command, asker: Asker): Promise<Outcome> {
    const isAdmin = this.#isAdmin(command, asker.user);
    switch (command.kind) {
      case 'show':
        return { rows: TABLES[command.what].rows(this.#parts.facts(), { isAdmin }), tag: 'SHOW' };
      case 'setting':
        return { rows: [[command.value]], tag: 'SHOW' };
      case 'help':
        asker.notice('Console usage', `\n\t${HELP.join('\n\t')}`);
        return { rows: null, tag: 'SHOW' };
      case 'explain':
        return { rows: await explainRows(command.sql, command.database, this.#parts.proxy), tag: 'EXPLAIN' };
      case 'ignored':
        if (command.tag === 'SET') asker.notice('SET ignored');
        return { rows: null, tag: command.tag };
      case 'set':
        this.#log(`SET ${command.key}`, asker);
        say(await this.#parts.controls().set(command.key, command.value), asker);
        return { rows: null, tag: `SET ${command.key}=${command.value}` };
      case 'shutdown':
        this.#log(`SHUTDOWN ${command.mode}`, asker);
        this.#parts.controls().shutdown(command.mode);
        return { rows: null, tag: 'SHUTDOWN' };
      case 'action':
      default:
        await this.#act(command, asker);
        return { rows: null, tag: command.action };
    }
  }

  async #act(command: Given, asker: Asker): Promise<void> {
    const { action, name } = command;
    if (name === CONSOLE_DATABASE && ABOUT_DATABASES.has(action)) {
      throw new SwitchyardError('not_available', `cannot ${action} the console itself`);
    }
    this.#log(name === null ? action : `${action} ${name}`, asker);
    await this.#acts[action](command, asker);
  }

  #killClient(text: string): void {
    const id = /^\d{1,15}$/.test(text) ? Number(text) : null;
    if (id === null) {
      throw new SwitchyardError('bad_command', `"${text}" is not the id of a client`, {
        hint: 'SHOW CLIENTS lists them.',
      });
    }
    if (!this.#parts.endClient(id)) this.#parts.controls().killClient(id);
  }

  /** Looked up each time: a reload may have changed it. Those who may only look may not ask for anything else. */
  #isAdmin({ kind }: Command, user: string): boolean {
    const { users, statsUsers } = this.#parts.proxy.config.admin;
    if (users.includes(user)) return true;
    const isLook = kind === 'show' || kind === 'setting' || kind === 'help' || kind === 'explain' || kind === 'ignored';
    if (isLook && statsUsers.includes(user)) return false;
    throw new SwitchyardError('not_permitted', `permission denied for user "${user}": admin access needed`, {
      hint: 'admin.users lists those who may do everything, admin.stats_users those who may look.',
    });
  }

  #log(command: string, { user, address }: Asker): void {
    this.#parts.proxy.logger.info({ user, client: address, command }, 'console command');
  }
}

function say(sentences: readonly string[], asker: Asker): void {
  for (const sentence of sentences) asker.notice(sentence);
}
