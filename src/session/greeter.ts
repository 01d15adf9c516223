import type { Backend } from '../backend/backend.js';
import { authenticationOk, backendKeyData, readyForQuery } from '../protocol/backend-messages.js';
import { TransactionStatus } from '../protocol/codes.js';
import type { TextFacts } from '../sql/analysis.js';
import { ClientParameters } from './client-parameters.js';
import type { SessionIntent } from './context.js';
import type { Greetings } from './greetings.js';
import type { SessionIdentity } from './identity.js';

/** Reported by nodes as the client has given it: so many are different that they would make as many greetings. */
const APPLICATION_NAME = 'application_name';

/** Welcomes a client, and tells it from then on what its backends report. */
export class Greeter {
  readonly #identity: SessionIdentity;
  readonly #greetings: Greetings;
  readonly #key: string;
  readonly #parameters: ClientParameters;
  readonly #hasLost: (name: string) => boolean;
  #isGreeted = false;
  #textFacts: TextFacts | null = null;

  /** `hasLost`: the session has reset a setting, and goes back to what it was at the start before its node is asked anything. */
  constructor(
    identity: SessionIdentity,
    intent: SessionIntent,
    greetings: Greetings,
    hasLost: (name: string) => boolean,
  ) {
    const { user, database, startupKey, startSettings } = identity;
    const settings = [...startSettings].map((pair) => (pair[0] === APPLICATION_NAME ? APPLICATION_NAME : pair));
    this.#identity = identity;
    this.#greetings = greetings;
    this.#key = [intent.route, user, database, startupKey, JSON.stringify(settings)].join('\0');
    this.#parameters = new ClientParameters(intent.route === 'standby');
    this.#hasLost = hasLost;
  }

  get isGreeted(): boolean {
    return this.#isGreeted;
  }

  /** What nodes reported to another session of its kind; null when none has, and a backend must be asked. */
  get remembered(): ReadonlyMap<string, string> | null {
    const reported = this.#identity.isReplication ? null : this.#greetings.get(this.#key);
    const applicationName = this.#identity.startSettings.get(APPLICATION_NAME);
    if (reported === null || applicationName === undefined) return reported;
    return new Map(reported).set(APPLICATION_NAME, applicationName);
  }

  /** How the client's texts are to be read, by what it was told. The same object as long as that is the same. */
  get textFacts(): TextFacts {
    this.#textFacts ??= {
      clientEncoding: this.#parameters.get('client_encoding') ?? '',
      escapesInStrings: this.#parameters.get('standard_conforming_strings') === 'off',
    };
    return this.#textFacts;
  }

  /** The messages that end the log-in. `reported`: by a backend, or remembered. */
  greet(reported: ReadonlyMap<string, string>): Buffer {
    this.#isGreeted = true;
    this.#textFacts = null;
    const { processId, key } = this.#identity.cancelKey;
    if (!this.#identity.isReplication) this.#greetings.learn(this.#key, reported);
    return Buffer.concat([
      authenticationOk(),
      this.#parameters.greet(reported),
      backendKeyData(processId, key),
      readyForQuery(TransactionStatus.Idle),
    ]);
  }

  /** A node reports a parameter: the body of its ParameterStatus. True: the client must be told. */
  note(buffer: Buffer, start: number, end: number): boolean {
    const nameEnd = buffer.indexOf(0, start);
    if (nameEnd < 0) return true;
    const name = buffer.toString('utf8', start, nameEnd);
    if (this.#hasLost(name.toLowerCase())) return false;
    this.#textFacts = null;
    return this.#parameters.note(name, buffer.toString('utf8', nameEnd + 1, end - 1));
  }

  /** The messages that bring the client from what it knows to what the backend reported; empty when nothing differs. */
  update(backend: Backend): Buffer {
    const changed = this.#parameters.update(backend.parameters);
    if (changed.length > 0) this.#textFacts = null;
    return changed;
  }
}
