import type { Catalogs } from '../../../../src/cluster/catalogs.js';
import { silentLogger } from '../../../../src/log.js';
import { NOT_READ } from '../../../../src/protocol/frame-scanner.js';
import type { Target } from '../../../../src/session/berths.js';
import { Chooser } from '../../../../src/session/split/chooser.js';
import type { UnitChoice } from '../../../../src/session/split/chooser.js';
import { RefusedTemplates } from '../../../../src/session/split/refused-templates.js';
import { DatabaseFences, SessionFence } from '../../../../src/session/split/session-fence.js';
import { Catalog } from '../../../../src/sql/catalog.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { frontend } from '../../../support/raw-messages.js';
import { builtInSnapshot, placed } from '../../sql/catalog-rows.js';
import { Talk } from '../state/conversation-state.js';
import { FakeFreshness } from './fake-freshness.js';

const HEADER_BYTES = 5;
const snapshot = builtInSnapshot();

/** What every database has, and `public.writes()` and `public.reads()`. */
export const catalog = new Catalog(
  {
    ...snapshot,
    functions: [
      ...snapshot.functions,
      { ...placed('public.writes'), isVolatile: true },
      { ...placed('public.reads'), isVolatile: false },
    ],
  },
  { readFunctions: [], writeFunctions: [] },
);

/** A chooser with the state of a session, in which the test is client and node. */
export class ChooserBench {
  readonly talk: Talk;
  readonly clock = new FakeClock();
  readonly refused = new RefusedTemplates(this.clock, silentLogger);
  readonly chooser: Chooser;
  catalog: Catalog | null = catalog;
  /** How often a name was missed in the catalogue. */
  missed = 0;
  bytesMax = 1 << 20;
  /** As what the attached backend was chosen. */
  target: Target | null = null;
  isInTransaction = false;

  constructor(ownSettings: Readonly<Record<string, string>> = {}) {
    this.talk = new Talk(10, new Map(Object.entries(ownSettings)));
    const freshness = new FakeFreshness();
    this.chooser = new Chooser({
      state: this.talk.state,
      fence: new SessionFence(freshness, 'app', new DatabaseFences(), () => 'session'),
      database: 'app',
      catalogs: {
        of: () => this.catalog,
        missed: () => {
          this.missed += 1;
        },
      } as unknown as Catalogs,
      refused: this.refused,
      bytesMax: () => this.bytesMax,
    });
  }

  /** The unit that begins with the first of these frames. `isRead`: the body of that one is collected. */
  choose(frames: readonly Buffer[], isRead = true): UnitChoice | null {
    const bytes = Buffer.concat(frames);
    const end = isRead ? (frames[0]?.length ?? 0) : NOT_READ;
    const { target, isInTransaction } = this;
    const facts = { target, isInTransaction };
    return this.chooser.choose(bytes.readUInt8(0), bytes, HEADER_BYTES, end, this.talk.facts, facts);
  }

  /** `target reason`, and `leaves`. */
  say(...frames: readonly Buffer[]): string {
    const choice = this.choose(frames);
    if (choice === null) return 'more';
    return `${choice.target} ${choice.reason}${choice.leaves ? ' leaves' : ''}`;
  }

  query(sql: string): string {
    return this.say(frontend.query(sql));
  }
}
