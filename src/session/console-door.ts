import type { SwitchyardError } from '../errors.js';
import type { Wire } from '../net/wire.js';
import type { CancelKey } from './cancel-key.js';

/** The database of which the console answers in place of a node. */
export const CONSOLE_DATABASE = 'switchyard';

/** A client that has logged in to the console. */
export interface ConsoleClient {
  /** Never that of a session. */
  readonly id: number;
  readonly user: string;
  readonly applicationName: string;
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly listener: string;
  readonly cancelKey: CancelKey;
}

/** Lets clients in that want to talk to the proxy itself. */
export interface ConsoleDoor {
  /** Why somebody who has proved to be this user may not come in; null: he may. */
  refusalOf(user: string): SwitchyardError | null;
  /** Takes over the wire of a client that has logged in; it has not been greeted. `rest`: bytes that were read behind its log-in. */
  open(wire: Wire, rest: Buffer, client: ConsoleClient): void;
  isProcessIdTaken(processId: number): boolean;
  /** Null: no client of the console was given this key. Takes as long for a wrong key as for a right one. */
  findByCancelKey(processId: number, key: Buffer): { cancel(): Promise<void> } | null;
}
