import type { Analysis, Effect, StatementAnalysis } from '../../sql/analysis.js';
import { PinReason } from '../../sql/pin-reason.js';
import { isInspectable, isUnread } from './pin.js';
import type { Pin } from './pin.js';

/** Most names of settings that are remembered to be asked for. */
const NAMES_MAX = 100;
/** Names are shorter than this (PostgreSQL's NAMEDATALEN is no bound for settings). */
const NAME_BYTES_MAX = 256;

/** In place of a name: settings of any made-up name may have been changed, and a node does not list those. */
export const ANY_SETTING = '*';
/** The state of random() is no setting that can be asked for. */
const SEED = 'seed';

/** `set_config(name, value, is_local`, as far as it can be told where the arguments have no brackets of their own. */
const CONFIG_CALL =
  /\bset_config\s*\(\s*(?:'((?:[^']|'')*)'|[^(),']*)\s*(?:,(?:'(?:[^']|'')*'|[^(),'])*(?:,\s*(\w+)\s*\))?)?/gi;
const CONFIG_NAME = /\bset_config\b/gi;
const SET_STATEMENT = /\bset\s+(?:session\s+|local\s+)?((?:[a-z_][\w$]*\.)+[a-z_][\w$]*)\s*(?:=|\bto\b|\bfrom\b)/gi;
const SETS_SEED = /\bsetseed\b|\bset\s+(?:session\s+|local\s+)?seed\b/i;
const MADE_UP_NAME = /^(?:[a-z_][\w$]*\.)+[a-z_][\w$]*$/i;

/** Whether the node can be asked whether there is anything behind a pin. */
export function isProvable({ reason, name }: Pin): boolean {
  return isInspectable(reason) && !(reason === PinReason.Setting && (name === ANY_SETTING || name === SEED));
}

/**
 * Names of settings that texts with unknown effects mention. Settings with made-up names (`app.user`) are not listed by any view of
 * PostgreSQL: who wants to know their values must know their names.
 */
export class Suspects {
  readonly #names = new Set<string>();

  get names(): ReadonlySet<string> {
    return this.#names;
  }

  /**
   * Reads a text whose effects on settings are not certain; gives its analysis, with a pin more where the names that it sets cannot be
   * told. `text` has one character for each byte.
   */
  note(analysis: Analysis, text: () => string): Analysis {
    if (!analysis.statements.some(hasUncertainty)) return analysis;
    const hidden = this.#read(text());
    if (hidden === null) return analysis;
    return { ...analysis, statements: analysis.statements.map((each) => withHidden(each, hidden)) };
  }

  /** Notes the names; gives what cannot be asked for. */
  #read(text: string): string | null {
    if (SETS_SEED.test(text)) return SEED;
    let calls = 0;
    let hidden: string | null = null;
    for (const [, name, last] of text.matchAll(CONFIG_CALL)) {
      calls += 1;
      if (last?.toLowerCase() === 'true') continue;
      if (name === undefined || name === '') hidden = ANY_SETTING;
      else if (!this.#add(name)) hidden = ANY_SETTING;
    }
    if ([...text.matchAll(CONFIG_NAME)].length !== calls) hidden = ANY_SETTING;
    for (const [, name] of text.matchAll(SET_STATEMENT))
      if (name !== undefined && !this.#add(name)) hidden = ANY_SETTING;
    return hidden;
  }

  /** False: there is no room for one more. */
  #add(name: string): boolean {
    // All others are listed by the node.
    if (!MADE_UP_NAME.test(name)) return !name.includes('.');
    const folded = name.toLowerCase();
    if (this.#names.has(folded)) return true;
    if (this.#names.size >= NAMES_MAX || name.length > NAME_BYTES_MAX) return false;
    this.#names.add(folded);
    return true;
  }
}

function hasUncertainty({ effects }: StatementAnalysis): boolean {
  for (const effect of effects) if (isUncertain(effect)) return true;
  return false;
}

function isUncertain(effect: Effect): boolean {
  if (effect.kind === 'prepare') return hasUncertainty(effect.prepared);
  return effect.kind === 'pin' && (effect.reason === PinReason.Setting || isUnread(effect.reason));
}

function withHidden(statement: StatementAnalysis, name: string): StatementAnalysis {
  if (!hasUncertainty(statement)) return statement;
  const effects = statement.effects.map((effect) =>
    effect.kind === 'prepare' ? { ...effect, prepared: withHidden(effect.prepared, name) } : effect,
  );
  const isItself = effects.some((effect) => effect.kind !== 'prepare' && isUncertain(effect));
  return { ...statement, effects: isItself ? [...effects, { kind: 'pin', reason: PinReason.Setting, name }] : effects };
}
