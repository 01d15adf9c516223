import { commandRows } from './command-rows.js';
import type { CorpusGroups, CorpusRow } from './corpus-row.js';
import { nameRows } from './name-rows.js';
import { plainRows } from './plain-rows.js';

/** All texts of the corpus, by what they are about. They use what `corpusSchema` makes. */
export const corpus: CorpusGroups = { ...plainRows, ...commandRows, ...nameRows };

export const corpusRows: readonly CorpusRow[] = Object.values(corpus).flat();
