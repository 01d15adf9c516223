import { parameterStatus } from '../protocol/backend-messages.js';

/** Reported by what the listener promises, not by the node that happens to serve. */
const CONTRACT_PARAMETER = 'in_hot_standby';
const NOTHING = Buffer.alloc(0);

/** The ParameterStatus values that a client was told. */
export class ClientParameters {
  readonly #isHotStandby: boolean;
  #known: ReadonlyMap<string, string> = new Map();
  /** What the client has yet to be told; in use during `update` only. */
  readonly #changed: Buffer[] = [];
  readonly #look = (value: string, name: string): void => {
    if (this.note(name, value)) this.#changed.push(parameterStatus(name, value));
  };

  /** `isHotStandby`: the value of `in_hot_standby` on this listener, for clients with `target_session_attrs`. */
  constructor(isHotStandby: boolean) {
    this.#isHotStandby = isHotStandby;
  }

  get(name: string): string | undefined {
    return this.#known.get(name);
  }

  /** The messages of the greeting. */
  greet(reported: ReadonlyMap<string, string>): Buffer {
    const known = new Map(reported);
    if (known.has(CONTRACT_PARAMETER)) known.set(CONTRACT_PARAMETER, this.#isHotStandby ? 'on' : 'off');
    this.#known = known;
    return Buffer.concat([...known].map(([name, value]) => parameterStatus(name, value)));
  }

  /** Notes what a backend reported. True: the client must be told. */
  note(name: string, value: string): boolean {
    if (name === CONTRACT_PARAMETER || this.#known.get(name) === value) return false;
    this.#known = new Map(this.#known).set(name, value);
    return true;
  }

  /** The messages that bring the client from what it knows to what the backend reported; empty when nothing differs. */
  update(reported: ReadonlyMap<string, string>): Buffer {
    // With nearly every unit of a session that shares its backends, and nearly always for nothing: this way nothing is allocated for that.
    reported.forEach(this.#look);
    return this.#changed.length === 0 ? NOTHING : Buffer.concat(this.#changed.splice(0));
  }
}
