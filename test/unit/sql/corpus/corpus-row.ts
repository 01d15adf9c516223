/**
 * A text, where a session with `route: split` may run it, and why. Behind `primary` stands what is in the way, word for word as the analysis
 * tells it (`ReadObstacle` and its name); behind `standby` why it is a read, for people.
 */
export type CorpusRow = readonly [sql: string, verdict: 'standby' | 'primary', reason: string];

/** Rows by what they are about. */
export type CorpusGroups = Readonly<Record<string, readonly CorpusRow[]>>;
