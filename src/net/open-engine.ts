import type { Config } from '../config/schema.js';
import { SwitchyardError } from '../errors.js';
import { EngineName } from './engine.js';
import type { Engine } from './engine.js';
import { loadAddon } from './native/load-addon.js';
import { NativeEngine } from './native/native-engine.js';
import { StreamEngine } from './stream/stream-engine.js';

export interface OpenedEngine {
  readonly engine: Engine;
  /** Why it is not the native one; null: it is, or nobody has asked for it. */
  readonly why: string | null;
}

/** The engine that the configuration asks for. Fails with `engine_missing` where it asks for one that this installation has not. */
export function openEngine(choice: Config['engine']): OpenedEngine {
  if (choice === EngineName.Stream) return { engine: new StreamEngine(), why: null };
  const loaded = loadAddon();
  if ('addon' in loaded) return { engine: new NativeEngine(loaded.addon), why: null };
  if (choice === 'auto') return { engine: new StreamEngine(), why: loaded.why };
  throw new SwitchyardError('engine_missing', `there is no native engine: ${loaded.why}`);
}
