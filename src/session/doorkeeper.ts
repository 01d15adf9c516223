import type { AuthRules } from '../auth/rules.js';
import type { LoginSecrets } from '../auth/login-secrets.js';
import type { UserDirectory } from '../auth/users.js';
import type { Logger } from '../log.js';
import type { Counters } from '../metrics/counters.js';
import type { Clock } from '../util/clock.js';
import type { SessionContext, SessionIntent } from './context.js';

/** What log-ins go by; replaced as a whole when the configuration is reloaded. */
export interface DoorRules {
  readonly rules: AuthRules;
  readonly startupTimeoutMs: number;
  readonly maxClients: number;
}

/** A listener as a client comes in through it. */
export interface Door {
  readonly listener: string;
  /** Replaced when the configuration is reloaded. */
  intent: SessionIntent;
}

/** Everything that letting clients in needs. */
export interface Doorkeeper {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly directory: UserDirectory;
  readonly secrets: LoginSecrets;
  readonly context: SessionContext;
  rules: DoorRules;
  /** Set when the program stops: new clients are refused. */
  isClosing: boolean;
  /** Clients that have not logged in yet. */
  startups: number;
}
