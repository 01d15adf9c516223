import type { BackendCredentials } from '../auth/credentials.js';
import type { CancelKey } from './cancel-key.js';

/** Who a session is, fixed at log-in. */
export interface SessionIdentity {
  readonly user: string;
  readonly database: string;
  readonly applicationName: string;
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly listener: string;
  readonly credentials: BackendCredentials;
  /** Startup parameters for the nodes, but for user and database, and but for `startSettings`. */
  readonly parameters: ReadonlyMap<string, string>;
  /** The same as one string. */
  readonly startupKey: string;
  /** Startup parameters that its backends are told once it has them, because it shares them; by the name in lower case. */
  readonly startSettings: ReadonlyMap<string, string>;
  /** Settings of ours that the session begins with, from `options=-c switchyard.<name>=...`; by short name, in lower case, checked. */
  readonly ownSettings: ReadonlyMap<string, string>;
  readonly isReplication: boolean;
  /** 3.0 or 3.2. */
  readonly protocol: number;
  readonly cancelKey: CancelKey;
}
