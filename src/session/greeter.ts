import type { Backend } from '../backend/backend.js';
import { authenticationOk, backendKeyData, readyForQuery } from '../protocol/backend-messages.js';
import { TransactionStatus } from '../protocol/codes.js';
import type { TextFacts } from '../sql/analysis.js';
import { ClientParameters } from './client-parameters.js';
import type { SessionIntent } from './context.js';
import type { Greetings } from './greetings.js';
import type { SessionIdentity } from './identity.js';

/** Welcomes a client, and tells it from then on what its backends report. */
export class Greeter {
  readonly #identity: SessionIdentity;
  readonly #greetings: Greetings;
  readonly #key: string;
  readonly #parameters: ClientParameters;
  #isGreeted = false;
  #textFacts: TextFacts | null = null;

  constructor(identity: SessionIdentity, intent: SessionIntent, greetings: Greetings) {
    this.#identity = identity;
    this.#greetings = greetings;
    this.#key = `${intent.route}\0${identity.user}\0${identity.database}\0${identity.startupKey}`;
    this.#parameters = new ClientParameters(intent.route === 'standby');
  }

  get isGreeted(): boolean {
    return this.#isGreeted;
  }

  /** What nodes reported to another session of its kind; null when none has, and a backend must be asked. */
  get remembered(): ReadonlyMap<string, string> | null {
    return this.#identity.isReplication ? null : this.#greetings.get(this.#key);
  }

  /** How the client's texts are to be read, by what it was told. The same object as long as that is the same. */
  get textFacts(): TextFacts {
    this.#textFacts ??= {
      clientEncoding: this.#parameters.get('client_encoding') ?? '',
      escapesInStrings: this.#parameters.get('standard_conforming_strings') === 'off',
    };
    return this.#textFacts;
  }

  /** The messages that end the log-in. */
  greet(reported: ReadonlyMap<string, string>): Buffer {
    this.#isGreeted = true;
    this.#textFacts = null;
    const { processId, key } = this.#identity.cancelKey;
    if (!this.#identity.isReplication) this.#greetings.set(this.#key, reported);
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
    this.#textFacts = null;
    return this.#parameters.note(
      buffer.toString('utf8', start, nameEnd),
      buffer.toString('utf8', nameEnd + 1, end - 1),
    );
  }

  /** The messages that bring the client from what it knows to what the backend reported; empty when nothing differs. */
  update(backend: Backend): Buffer {
    const changed = this.#parameters.update(backend.parameters);
    if (changed.length > 0) this.#textFacts = null;
    return changed;
  }
}
