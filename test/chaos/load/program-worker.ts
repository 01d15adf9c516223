import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { killTree } from '../../../src/cli/demo/postgres/process-tree.js';
import { dieWithParent } from '../../../src/cli/demo/postgres/run-program.js';
import { testGuard } from '../../support/processes.js';
import type { Activity } from './attempt.js';
import type { WorkerLedger } from './ledger.js';
import type { Worker } from './worker.js';

const END_TIMEOUT_MS = 10_000;

/** A writer in another language: a program that says on standard output what becomes of its writes, and ends with its standard input. */
export class ProgramWorker implements Worker {
  readonly name: string;
  readonly connections = 1;
  readonly inFlightMax = 1;
  readonly #ledger: WorkerLedger;
  readonly #command: readonly string[];
  #child: ChildProcess | null;
  #isStopping: boolean;

  constructor(ledger: WorkerLedger, command: readonly string[]) {
    this.name = ledger.name;
    this.#ledger = ledger;
    this.#command = command;
    this.#child = null;
    this.#isStopping = false;
  }

  start(): void {
    void this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.stdin?.end();
    const patience = new AbortController();
    await Promise.race([ended, delay(END_TIMEOUT_MS, null, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    if (child.exitCode === null && child.signalCode === null) killTree(child.pid ?? 0);
    await ended;
  }

  async #run(): Promise<void> {
    const [program = '', ...args] = [...(await dieWithParent('KILL')), ...this.#command];
    if (this.#isStopping) return;
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    this.#child = child;
    const unguard = testGuard.add(() => killTree(child.pid ?? 0));
    let complaints = '';
    child.stdin.on('error', () => {});
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaints += text;
    });
    createInterface({ input: child.stdout }).on('line', (line) => this.#read(line.split('\t')));
    const [code] = (await once(child, 'close')) as [number | null];
    unguard();
    if (!this.#isStopping) this.#ledger.violated(`the program ended with ${code}: ${complaints}`);
  }

  /** `ok first count started ended`, or `error first count during sqlstate severity lost unsent started ended message detail`. */
  #read(fields: readonly string[]): void {
    const [kind, first, count] = fields;
    const ids = Array.from({ length: Number(count) }, (_, i) => Number(first) + i);
    if (kind === 'ok') {
      this.#ledger.acknowledged(ids, Number(fields[3]), Number(fields[4]));
      return;
    }
    if (kind !== 'error' || fields.length < 12) {
      this.#ledger.violated(`the program said: ${fields.join(' ')}`);
      return;
    }
    const [, , , during, sqlState = '', severity = '', lost, unsent, started, ended, message = '', detail = ''] =
      fields;
    const words = { sqlState, severity, message, detail };
    // What broke before COMMIT was sent cannot have happened; class 25 says so to the ledger.
    this.#ledger.failed(ids, unsent === '1' ? { ...words, sqlState: '25P02' } : words);
    this.#ledger.saw(during as Activity, words, lost === '1', Number(started), Number(ended));
  }
}
