import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
}

/**
 * One process of `/proc`, or null when it has gone. The second field of `stat` is the program's name in brackets, which may itself
 * hold blanks and brackets, so the fields are counted from the last bracket (proc_pid_stat(5)).
 */
function readProcRow(pid: number): ProcessRow | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid, parent: Number(fields[1]), state: fields[0] ?? '' };
  } catch {
    return null;
  }
}

function processRows(): ProcessRow[] {
  if (process.platform === 'linux') {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => readProcRow(Number(name)))
      .filter((row) => row !== null);
  }
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,state='], { encoding: 'latin1' });
  return (stdout ?? '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length === 3)
    .map(([pid, parent, state]) => ({ pid: Number(pid), parent: Number(parent), state: state ?? '' }));
}

/** The living children of a process, in no order. Synchronous, so that it also serves while the program exits. */
export function childPids(pid: number): number[] {
  return processRows()
    .filter((row) => row.parent === pid && !row.state.startsWith('Z'))
    .map((row) => row.pid);
}

/** True while a process exists and is not a zombie. */
export function isAlive(pid: number): boolean {
  if (process.platform === 'linux') {
    const row = readProcRow(pid);
    return row !== null && !row.state.startsWith('Z');
  }
  return sendSignal(pid, 0);
}

/** True while a process is stopped by SIGSTOP; Linux and BSD only. */
export function isStopped(pid: number): boolean {
  return processRows().some((row) => row.pid === pid && row.state.startsWith('T'));
}

/** The command line of a process as `ps` shows it; empty when it has gone. PostgreSQL writes there what each process does. */
export function commandOf(pid: number): string {
  if (process.platform === 'linux') {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
    } catch {
      return '';
    }
  }
  return (spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'latin1' }).stdout ?? '').trim();
}

/** Sends a signal (0 only asks); false when the process has gone. */
export function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/**
 * Kills a process and its children so that none has the time to notice the death of another: the parent is stopped first, so that it
 * starts no more of them, and killed last, because backends that miss their postmaster say goodbye to their clients.
 * Returns the pids that were killed.
 */
export function killTree(pid: number): number[] {
  if (!sendSignal(pid, 'SIGSTOP')) return [];
  const pids = [...childPids(pid), pid];
  for (const each of pids) sendSignal(each, 'SIGKILL');
  return pids;
}

/** Processes that were stopped with SIGSTOP, to be continued together. */
export class StoppedProcesses {
  readonly #pids: Set<number>;

  constructor() {
    this.#pids = new Set();
  }

  /** Stops processes; those that have gone are left out. */
  stop(pids: readonly number[]): void {
    if (process.platform === 'win32') throw new Error('freezing processes needs POSIX signals');
    for (const pid of pids) if (sendSignal(pid, 'SIGSTOP')) this.#pids.add(pid);
  }

  /** Stops a process and then, when it can start no more, its children. */
  stopTree(pid: number): void {
    this.stop([pid]);
    this.stop(childPids(pid));
  }

  /** Continues them all, the last stopped first: a parent must not wake before its children. */
  continue(): void {
    for (const pid of [...this.#pids].reverse()) sendSignal(pid, 'SIGCONT');
    this.#pids.clear();
  }
}
