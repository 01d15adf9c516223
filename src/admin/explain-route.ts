import type { Clock } from '../util/clock.js';
import { explainText } from './explain.js';
import type { ExplainDocument, ExplainParts } from './explain.js';
import { json } from './http-answer.js';
import type { Answer } from './http-answer.js';

/** Longest wait for a catalogue that is being loaded. */
const LOAD_TIMEOUT_MS = 3_000;
const LOAD_LOOK_MS = 25;
/** A name has 63 bytes at the most (documentation of PostgreSQL, "Identifiers and Key Words"). */
export const DATABASE_CHARS_MAX = 63;

/** Answers `?database=NAME&sql=TEXT`: where the statements of the text would go, and why. */
export async function answerExplain(
  query: URLSearchParams,
  parts: ExplainParts | undefined,
  clock: Clock,
): Promise<Answer> {
  if (parts === undefined) return json(503, { error: 'the SQL parser is not loaded' });
  const [database, sql] = [query.get('database') ?? '', query.get('sql') ?? ''];
  if (database === '' || sql.trim() === '' || database.length > DATABASE_CHARS_MAX) {
    return json(400, { error: 'ask with ?database=NAME&sql=TEXT' });
  }
  return json(200, await explainWhenLoaded(database, sql, parts, clock));
}

/** Gives the catalogue of the database a moment to be loaded. The name of the database may have 63 bytes at the most. */
export async function explainWhenLoaded(
  database: string,
  sql: string,
  parts: ExplainParts,
  clock: Clock,
): Promise<ExplainDocument> {
  const deadlineMs = clock.nowMs() + LOAD_TIMEOUT_MS;
  while (parts.catalogOf(database) === null && parts.troubleOf(database) === null && clock.nowMs() < deadlineMs) {
    await new Promise<void>((resolve) => void clock.setTimer(LOAD_LOOK_MS, resolve));
  }
  return explainText(sql, database, parts);
}
