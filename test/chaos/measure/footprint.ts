import { readFile, readdir, readlink } from 'node:fs/promises';

/** What a process holds (Linux, proc(5)). */
export interface Footprint {
  readonly residentMb: number;
  readonly sockets: number;
}

export async function footprintOf(pid: number): Promise<Footprint> {
  const [status, names] = await Promise.all([readFile(`/proc/${pid}/status`, 'utf8'), readdir(`/proc/${pid}/fd`)]);
  const targets = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')));
  return {
    residentMb: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024,
    sockets: targets.filter((target) => target.startsWith('socket:')).length,
  };
}
