import type { Catalogs } from '../../cluster/catalogs.js';
import type { Freshness } from '../../cluster/freshness.js';
import type { Clock } from '../../util/clock.js';
import type { RefusedTemplates } from './refused-templates.js';
import type { DatabaseFences } from './session-fence.js';

/** What split sessions share. */
export interface SplitContext {
  readonly clock: Clock;
  readonly freshness: Freshness;
  readonly catalogs: Catalogs;
  readonly refused: RefusedTemplates;
  readonly fences: DatabaseFences;
  /** Longest unit that is read ahead. */
  readonly bytesMax: () => number;
  readonly fenceWaitMs: () => number;
  /** Hears how long a read has waited for a standby that has what its session has seen, also in vain. */
  readonly onFenceWait: (durationMs: number) => void;
}
