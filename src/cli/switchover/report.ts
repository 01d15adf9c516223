import type { PromotionDocument } from '../../admin/promotion-document.js';
import { printable } from '../terminal.js';
import type { Terminal } from '../terminal.js';

const WORDS: Readonly<Record<string, string>> = {
  announced: 'announced: no transaction begins on the old primary',
  draining: 'held: nothing new starts on the old primary',
  leader_lost: 'leader lost: everything for the primary is held',
  confirming: 'confirming: a node holds the leader key and has to prove itself',
  releasing: 'released: units go on at the new primary',
};

/** Tells what happens, as it happens: lines for people, or JSON lines for programs. */
export class SwitchoverReport {
  readonly #terminal: Terminal;
  readonly #isJson: boolean;
  #startedAtEpochMs = Date.now();

  constructor(terminal: Terminal, isJson: boolean) {
    this.#terminal = terminal;
    this.#isJson = isJson;
  }

  /** From here on times are told. */
  begin(): void {
    this.#startedAtEpochMs = Date.now();
  }

  tell(event: string, text: string, more: object = {}, atEpochMs = Date.now()): void {
    const seconds = Math.max(0, atEpochMs - this.#startedAtEpochMs) / 1000;
    if (this.#isJson) {
      const at = new Date(atEpochMs).toISOString();
      this.#terminal.print(JSON.stringify({ event, at, seconds, ...more }));
    } else this.#terminal.print(`${`+${seconds.toFixed(2)} s`.padStart(9)}  ${printable(text)}`);
  }

  phase(phase: string, startedAtEpochMs: number): void {
    this.tell('phase', WORDS[phase] ?? phase, { phase }, startedAtEpochMs);
  }

  /** What each proxy made of it, in the end. */
  done(records: readonly { readonly admin: string; readonly record: PromotionDocument | null }[]): void {
    const pauses = records.map(({ record }) => record?.pauseSeconds ?? 0);
    const pauseSeconds = Math.max(0, ...pauses);
    const lines = records.map(({ admin, record }) =>
      record === null ? `${admin} has seen no promotion` : line(admin, record),
    );
    const [first] = records;
    this.tell(
      'done',
      `${first?.record?.to ?? 'the candidate'} is the primary; the longest pause of a client was ${pauseSeconds.toFixed(2)} s`,
      {
        pauseSeconds,
        proxies: records,
      },
    );
    if (!this.#isJson) for (const each of lines) this.#terminal.print(`           ${printable(each)}`);
  }
}

function line(admin: string, { pauseSeconds, counts }: PromotionDocument): string {
  const replayed = Object.values(counts.replayed).reduce((sum, count) => sum + count, 0);
  const cut = Object.values(counts.unitsCut).reduce((sum, count) => sum + count, 0);
  const told = cut + counts.transactionsLost + counts.inDoubt + counts.holdTimeouts;
  return (
    `${admin}: pause ${pauseSeconds.toFixed(2)} s, ${counts.held} held, ${counts.moved} moved, ${replayed} run again, ` +
    `${counts.transactionsLost} transactions lost, ${counts.inDoubt} in doubt, ${told} errors`
  );
}
