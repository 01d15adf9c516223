import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { RawKey } from '../../../src/dcs/patroni-keys.js';
import type { KeyEvent } from '../../../src/dcs/patroni-store.js';

export const PATRONI_VERSIONS = ['3.0.2', '4.0.4', '4.1.4'] as const;
export type PatroniVersion = (typeof PATRONI_VERSIONS)[number];
export const STORIES = ['switchover', 'crash', 'pause', 'sync'] as const;
export type Story = (typeof STORIES)[number];

/** What happened to a real cluster: its keys at first, then the events, by revision. */
export interface Recording {
  /** `/service/lab4000/` */
  readonly prefix: string;
  readonly revision: bigint;
  readonly initial: readonly RawKey[];
  /** One entry for each revision: what one transaction wrote. */
  readonly steps: readonly (readonly KeyEvent[])[];
}

interface Line {
  readonly type: 'range' | 'initial' | 'note' | 'put' | 'delete';
  readonly revision: string;
  readonly key: string;
  readonly value: string;
  readonly create_revision: string;
  readonly mod_revision: string;
}

/** Reads one of the recordings in test/fixtures/patroni. */
export function readRecording(version: PatroniVersion, story: Story): Recording {
  const path = new URL(`../../../../test/fixtures/patroni/patroni-${version}/${story}.jsonl`, import.meta.url);
  const lines = readFileSync(fileURLToPath(path), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
  const prefix = /^\/service\/[^/]+\//.exec(lines.find((line) => line.type === 'initial')?.key ?? '')?.[0] ?? '';
  const rawKey = (line: Line): RawKey => ({
    suffix: line.key.slice(prefix.length),
    value: line.value,
    createRevision: BigInt(line.create_revision),
    modRevision: BigInt(line.mod_revision),
  });
  const steps: KeyEvent[][] = [];
  for (const line of lines) {
    if (line.type === 'put' || line.type === 'delete') {
      const key = rawKey(line);
      const revision = key.modRevision;
      const event: KeyEvent =
        line.type === 'put' ? { kind: 'put', revision, key } : { kind: 'delete', revision, suffix: key.suffix };
      const last = steps.at(-1);
      if (last?.[0]?.revision === revision) last.push(event);
      else steps.push([event]);
    }
  }
  return {
    prefix,
    revision: BigInt(lines.find((line) => line.type === 'range')?.revision ?? '0'),
    initial: lines.filter((line) => line.type === 'initial').map(rawKey),
    steps,
  };
}

/** The keys as they stand after the events. */
export function keysAfter(initial: readonly RawKey[], events: readonly KeyEvent[]): RawKey[] {
  const keys = new Map(initial.map((key) => [key.suffix, key]));
  for (const event of events) {
    if (event.kind === 'put') keys.set(event.key.suffix, event.key);
    else keys.delete(event.suffix);
  }
  return [...keys.values()];
}
