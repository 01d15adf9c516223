import type { TrafficPeriods } from '../../metrics/traffic-periods.js';
import type { Cell, Column, ColumnType, Row } from '../../protocol/row-messages.js';
import type { ConsoleClient } from '../../session/console-door.js';
import type { Proxy } from '../proxy.js';
import type { ConsoleControls } from './controls.js';

/** A client of the console, as others see it. */
export interface TalkingClient {
  readonly client: ConsoleClient;
  /** Monotonic; the second one of its last command, 0: there was none. */
  readonly startedAtMs: number;
  readonly lastBeginMs: number;
  /** A command of it is running. */
  readonly isBusy: boolean;
  readonly prepared: number;
  readonly pendingBytes: number;
}

/** What tables are made of. */
export interface ConsoleFacts {
  readonly proxy: Proxy;
  readonly periods: TrafficPeriods;
  readonly controls: ConsoleControls;
  readonly clients: readonly TalkingClient[];
  /** What stands for the keys of the configuration that are left out, by the key of the schema. */
  readonly defaults: () => ReadonlyMap<string, string>;
  /** Of this program. */
  readonly version: string;
}

/** Who looks. */
export interface Viewer {
  /** Sees also what statements say. */
  readonly isAdmin: boolean;
}

export interface Table {
  readonly columns: readonly Column[];
  /** May be read slowly: what changes meanwhile may show. */
  rows(facts: ConsoleFacts, viewer: Viewer): Iterable<Row>;
}

/** Columns of one type after the other: `{ text: 'name', int4: 'a b' }`. */
export function columns(...parts: readonly (readonly [ColumnType, string])[]): readonly Column[] {
  return parts.flatMap(([type, names]) => names.split(' ').map((name) => ({ name, type })));
}

/** A truth as PgBouncer shows it. */
export function flag(value: boolean): number {
  return value ? 1 : 0;
}

/** A moment as PgBouncer shows it, in UTC; empty: it never came. */
export function timeOf(atMs: number, { clock }: Proxy): string {
  if (atMs === 0) return '';
  const epochMs = clock.epochMs() - (clock.nowMs() - atMs);
  return `${new Date(epochMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Whole seconds of a duration, and the microseconds beyond them. */
export function secondsAndRest(ms: number): readonly [seconds: number, us: number] {
  const us = Math.max(0, Math.floor(ms * 1000));
  return [Math.floor(us / 1_000_000), us % 1_000_000];
}

export function yesOrNo(value: boolean): Cell {
  return value ? 'yes' : 'no';
}
