import { Frontend } from '../protocol/codes.js';
import { collectTable } from '../protocol/frame-scanner.js';
import type { CollectTable } from '../protocol/frame-scanner.js';

/** The bodies of client messages that sessions want to read, up to `inspectBytesMax`. */
export function clientCollectTable(inspectBytesMax: number): CollectTable {
  return collectTable({
    [Frontend.Query]: inspectBytesMax,
    [Frontend.Parse]: inspectBytesMax,
    [Frontend.Bind]: inspectBytesMax,
    [Frontend.Describe]: inspectBytesMax,
    [Frontend.Execute]: inspectBytesMax,
    [Frontend.Sync]: inspectBytesMax,
    [Frontend.Flush]: inspectBytesMax,
    [Frontend.Close]: inspectBytesMax,
  });
}
