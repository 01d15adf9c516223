import type { ConsoleControls } from '../../../../src/admin/console/controls.js';
import type { SwitchyardError } from '../../../../src/errors.js';

/** Writes down what it is asked to do. A test says what comes of it. */
export class FakeControls implements ConsoleControls {
  readonly asked: string[] = [];
  pausedDatabases: readonly string[] = [];
  isPaused = false;
  disabledDatabases: readonly string[] = [];
  sentences: readonly string[] = [];
  fails: SwitchyardError | null = null;
  /** What a PAUSE waits for: it is over when the last of these is taken. */
  waitsFor: readonly string[] = [];
  /** Ends the wait of a PAUSE. */
  finish: () => void = () => {};
  isAborted = false;

  pause(database: string | null, onWait: (waitsFor: string) => void, signal: AbortSignal): Promise<void> {
    this.#note('pause', database);
    for (const sentence of this.waitsFor) onWait(sentence);
    if (this.waitsFor.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.finish = resolve;
      signal.addEventListener('abort', () => {
        this.isAborted = true;
        reject(new Error('aborted'));
      });
    });
  }

  resume(database: string | null): void {
    this.#note('resume', database);
  }

  reconnect(database: string | null): void {
    this.#note('reconnect', database);
  }

  async waitClose(database: string | null): Promise<void> {
    this.#note('waitClose', database);
  }

  kill(database: string | null): void {
    this.#note('kill', database);
  }

  killClient(id: number): void {
    this.#note('killClient', id);
  }

  disable(database: string): void {
    this.#note('disable', database);
  }

  enable(database: string): void {
    this.#note('enable', database);
  }

  async reload(): Promise<readonly string[]> {
    this.#note('reload');
    return this.sentences;
  }

  shutdown(mode: string): void {
    this.#note('shutdown', mode);
  }

  drain(node: string): void {
    this.#note('drain', node);
  }

  undrain(node: string): void {
    this.#note('undrain', node);
  }

  async switchover(candidate: string): Promise<readonly string[]> {
    this.#note('switchover', candidate);
    return this.sentences;
  }

  async set(key: string, value: string): Promise<readonly string[]> {
    this.#note('set', key, value);
    return this.sentences;
  }

  #note(what: string, ...about: readonly (string | number | null)[]): void {
    this.asked.push([what, ...about.map((each) => each ?? 'all')].join(' '));
    if (this.fails !== null) throw this.fails;
  }
}
