import { SwitchyardError } from '../../errors.js';
import type { Analysis } from '../../sql/analysis.js';
import type { Target } from '../berths.js';
import { ownSettingKind, ownSettingKinds } from '../own-setting-kinds.js';
import type { Consistency } from './session-fence.js';

export const OWN_PREFIX = 'switchyard.';

/** Where the present values come from. */
export interface OwnSettingSource {
  /** The value of `switchyard.<name>` in the session as it is now; null: not set. */
  ownSetting(name: string): string | null;
}

/**
 * Settings of the proxy that a client sets with SET, in their transaction like any other. The nodes keep them as settings of an unknown
 * prefix, so that SHOW, RESET and SET LOCAL are theirs; here is what they mean.
 */
export class OwnSettings {
  readonly #source: OwnSettingSource;

  constructor(source: OwnSettingSource) {
    this.#source = source;
  }

  /** What the client has narrowed the route to; null: it has not. */
  get route(): Target | null {
    const value = this.#read('route');
    return value === 'primary' || value === 'standby' ? value : null;
  }

  get consistency(): Consistency | null {
    const value = this.#read('consistency');
    return value === 'session' || value === 'eventual' || value === 'database' ? value : null;
  }

  get explains(): boolean {
    return this.#read('explain') === 'on';
  }

  /** A position as text; null: none. */
  get fence(): string | null {
    const value = this.#read('fence');
    return value === '' ? null : value;
  }

  #read(name: string): string | null {
    const value = this.#source.ownSetting(name);
    return value === null ? null : (ownSettingKind(name)?.read(value) ?? null);
  }

  /** What is wrong with the settings of ours that these texts set; null: nothing. */
  mistakeIn(analyses: readonly Analysis[]): SwitchyardError | null {
    for (const { statements } of analyses) {
      for (const { effects } of statements) {
        for (const effect of effects) {
          if (effect.kind !== 'set' || !effect.name.startsWith(OWN_PREFIX)) continue;
          const mistake = mistakeOf(effect.name, effect.value);
          if (mistake !== null) return mistake;
        }
      }
    }
    return null;
  }

  /** The setting of ours that is shown, without its prefix; null: none is. */
  shownBy(analyses: readonly Analysis[]): string | null {
    for (const { statements } of analyses) {
      for (const { show } of statements) {
        if (show !== null && show.startsWith(OWN_PREFIX)) return show.slice(OWN_PREFIX.length);
      }
    }
    return null;
  }
}

/** Checks a setting of ours; `value` null: it is not known. */
function mistakeOf(name: string, value: string | null): SwitchyardError | null {
  const short = name.slice(OWN_PREFIX.length);
  const kind = ownSettingKind(short);
  if (kind === null) {
    const known = Object.keys(ownSettingKinds).map((each) => OWN_PREFIX + each);
    return new SwitchyardError('unknown_setting', `unrecognized configuration parameter "${name}"`, {
      hint: `Known: ${known.join(', ')}.`,
    });
  }
  if (value === null || kind.read(value) !== null) return null;
  return new SwitchyardError('bad_setting', `invalid value for parameter "${name}": "${value}"`, {
    hint: `Available values: ${kind.takes}.`,
  });
}
