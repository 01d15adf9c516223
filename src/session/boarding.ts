import { TransactionStatus } from '../protocol/codes.js';
import type { ErrorFields } from '../protocol/error-fields.js';
import type { Relay } from '../relay/relay.js';
import type { TextFacts } from '../sql/analysis.js';
import { NodeError } from '../backend/node-error.js';
import type { Berth, Berths, Target } from './berths.js';
import type { ReplayOptions } from './state/attachment.js';
import type { SessionContext } from './context.js';
import type { Greeter } from './greeter.js';
import { Replayer } from './replayer.js';
import type { UnitChoice } from './split/chooser.js';
import { failureReplay, isSure, joinReplays, ReplayKind, sequencesReplay, settingReplay } from './state/replay-plan.js';
import type { SessionReplay } from './state/replay-plan.js';
import type { SessionState } from './state/session-state.js';

/** How backends are brought into the state of a session; a standby cannot listen. */
const allAtOnce: ReplayOptions = { statements: 'all', listens: true };
const onDemand: Readonly<Record<Target, ReplayOptions>> = {
  primary: { statements: 'on_demand', listens: true },
  standby: { statements: 'on_demand', listens: false },
};

/** `invalid_sql_statement_name`: there is no prepared statement of the name. */
const NO_SUCH_STATEMENT = '26000';

const nothing: SessionReplay = { bytes: Buffer.alloc(0), types: [], parts: [] };

/** What boarding needs of its session. */
export interface BoardingOwner {
  readonly id: number;
  readonly state: SessionState;
  readonly relay: Relay;
  /** It shares its backends with other sessions. */
  readonly isPooled: boolean;
  /** What `switchyard.<name>` is to be shown as; null: as the node has it. */
  ownSettingShown(name: string): string | null;
}

/** Attaches backends to the relay of a session, and brings its state to them before anything of the client runs there. */
export class Boarding {
  readonly #owner: BoardingOwner;
  readonly #berths: Berths;
  readonly #greeter: Greeter;
  readonly #replayer: Replayer;
  readonly #reading: () => TextFacts;
  readonly #context: SessionContext;
  /** Why statements could not be prepared on the attached backend, by the names that they would have there. */
  readonly #lacks = new Map<string, NodeError>();
  #isAhead = false;
  /** The client has not been told yet what the attached backend reports of itself. */
  #isUntold = false;
  /** Prepared statements are brought when they are needed, and not all at once. */
  readonly #isOnDemand: boolean;
  /** The unit that waits shows a setting of ours, and its node has been told the value. */
  #isShown = false;
  /** How the next backend is to begin a transaction before the waiting unit comes; null: not at all. */
  mustBegin: string | null = null;

  constructor(owner: BoardingOwner, berths: Berths, greeter: Greeter, isOnDemand: boolean, context: SessionContext) {
    this.#owner = owner;
    this.#berths = berths;
    this.#greeter = greeter;
    this.#isOnDemand = isOnDemand;
    this.#context = context;
    this.#replayer = new Replayer(owner.id, context);
    this.#reading = () => greeter.textFacts;
  }

  /** State is on its way, and not everything is answered. */
  get isRunning(): boolean {
    return this.#replayer.isRunning;
  }

  /** Attaches a backend that is new. True: nothing of the client may run before `done`. */
  board({ backend, applied }: Berth): boolean {
    const { state, relay } = this.#owner;
    state.use(applied);
    const { isGreeted } = this.#greeter;
    // One that others have used, or that is not told everything when it is opened, cannot say yet what the client is to be greeted with.
    const replay = isGreeted || this.#owner.isPooled ? this.#plan(null) : null;
    this.#replayer.begin(replay, !isGreeted);
    relay.attach(backend, replay);
    return replay !== null;
  }

  /** Attaches a backend that has just come, for a unit that is about to ask: `takeUp` brings to it what that needs. */
  receive({ backend, applied }: Berth): void {
    this.#owner.state.use(applied);
    this.#owner.relay.attach(backend, null);
    this.#isUntold = true;
  }

  /** State is on its way, and the unit that needs it goes right behind it. */
  get isAhead(): boolean {
    return this.#isAhead;
  }

  /** Attaches a backend of the session if it is parked, or has just come. True: nothing of the client may run before `done`. */
  takeUp(berth: Berth, choice: UnitChoice | null): boolean {
    const { relay } = this.#owner;
    const isNew = relay.backend !== berth.backend;
    if (this.#berths.attached !== berth) this.#berths.swap();
    if (isNew) this.receive(berth);
    if (!this.#isOnDemand) return false;
    const replay = this.#plan(choice);
    if (replay === null) {
      if (this.#isUntold) this.#tellParameters();
      return false;
    }
    this.#replayer.begin(replay);
    this.#isAhead = choice !== null && isSure(replay);
    if (this.#isAhead) relay.replayAhead(replay);
    else relay.replay(replay);
    return !this.#isAhead;
  }

  /** Ends the open unit on the attached backend; then `done`. */
  endUnit(): void {
    this.#replayer.begin(nothing);
    this.#owner.relay.endUnit();
  }

  /** Makes the transaction fail that is open on the attached backend; then `done`. */
  failTransaction(): void {
    const replay = failureReplay();
    this.#replayer.begin(replay);
    this.#owner.relay.replay(replay);
  }

  failed(fields: ErrorFields, part: number): void {
    this.#replayer.failed(fields, part);
    const { kind, name } = this.#replayer.replay?.parts[part] ?? {};
    if (kind === ReplayKind.Parse || kind === ReplayKind.Prepare) this.#lacks.set(name ?? '', new NodeError(fields));
  }

  /** A statement that the unit may need could not be prepared. */
  get lacksStatement(): boolean {
    return this.#lacks.size > 0;
  }

  /** Why the statement could not be prepared that an error of the node says is not there; null: that is not known. */
  causeOf({ sqlState, message }: ErrorFields): NodeError | null {
    if (this.#lacks.size === 0 || sqlState !== NO_SUCH_STATEMENT) return null;
    // In whatever language, it says the name.
    for (const [name, cause] of this.#lacks) if (name !== '' && message.includes(name)) return cause;
    return null;
  }

  /** Everything is answered; gives why the session cannot go on there, or null when it can. */
  done(): Error | null {
    const { failure, notice, replay, refused } = this.#replayer;
    if (replay !== null) this.#owner.state.replayed(replay, refused);
    this.#replayer.begin(null);
    this.#isAhead = false;
    if (failure !== null) return failure;
    if (this.#greeter.isGreeted) this.#tellParameters();
    if (notice !== null) this.#owner.relay.say(notice);
    return null;
  }

  /** The backend is gone, with what was on its way there. */
  drop(): void {
    this.#replayer.begin(null);
    this.#isAhead = false;
  }

  /** The client hears what the backend reports of itself and it does not know. */
  tellParameters(): void {
    this.#tellParameters();
  }

  #plan(choice: UnitChoice | null): SessionReplay | null {
    const { state } = this.#owner;
    if (this.#lacks.size > 0) this.#lacks.clear();
    const options = this.#isOnDemand ? onDemand[this.#berths.attached?.target ?? 'primary'] : allAtOnce;
    const begin = this.mustBegin;
    this.mustBegin = null;
    const replay = state.replay(begin === null ? options : { ...options, begin });
    if (choice === null) return replay;
    const prepared = choice.names.length === 0 ? null : state.prepareFor(choice, this.#reading);
    const sequences = choice.asksSequences && this.#hasForeignSequences ? sequencesReplay() : null;
    if (replay === null && prepared === null && sequences === null && choice.shows === null) return null;
    return joinReplays([replay, prepared, sequences, this.#show(choice.shows)]);
  }

  /** What sequences gave to others may be told on the attached backend. In a transaction the session has it since that began. */
  get #hasForeignSequences(): boolean {
    const { id, relay, isPooled } = this.#owner;
    const { backend } = relay;
    if (!isPooled || backend === null || backend.transactionStatus !== TransactionStatus.Idle) return false;
    return this.#context.shared.takeOver(backend, id);
  }

  /** So that the node itself answers SHOW in the protocol that the client speaks. `name`: without its prefix; null: nothing is shown. */
  #show(name: string | null): SessionReplay | null {
    const hasShown = this.#isShown;
    const value = name === null || hasShown ? null : this.#owner.ownSettingShown(name);
    this.#isShown = value !== null;
    return value === null ? null : settingReplay(`switchyard.${name}`, value);
  }

  #tellParameters(): void {
    this.#isUntold = false;
    const backend = this.#berths.attached?.backend;
    if (backend === undefined) return;
    const changed = this.#greeter.update(backend);
    if (changed.length > 0) this.#owner.relay.say(changed);
  }
}
