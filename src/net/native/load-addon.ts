import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../errors.js';
import type { NativeAddon } from './addon.js';

/** Where node-gyp puts what it has built, seen from the built program. */
const BUILT = new URL('../../../../src/net/native/build/Release/switchyard_native.node', import.meta.url);

/** The addon, or why there is none. */
export type LoadedAddon = { readonly addon: NativeAddon } | { readonly why: string };

export function loadAddon(): LoadedAddon {
  if (process.platform !== 'linux') return { why: `it runs on Linux only, and this is ${process.platform}` };
  const path = fileURLToPath(BUILT);
  if (!existsSync(path)) return { why: `it was not built at the installation (${path} is missing)` };
  try {
    return { addon: createRequire(import.meta.url)(path) as NativeAddon };
  } catch (error) {
    return { why: `it cannot be loaded: ${messageOf(error)}` };
  }
}
