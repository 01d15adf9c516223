import { readdir } from 'node:fs/promises';
import { collectDefaultMetrics, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';

/** Linux: one entry for each open file descriptor of this process (proc(5)). */
const DESCRIPTORS_FOLDER = '/proc/self/fd';
/** Never, as far as a timer can be set: the delay of the event loop is measured elsewhere. */
const NEVER_MS = 2 ** 30;

/**
 * CPU, memory, garbage collection and file descriptors of this process, under the names that every Node.js program uses.
 *
 * Left out of prom-client's set: the delay of the event loop, since its figures begin anew with every scrape, so that two who scrape
 * take them from each other; and the open handles, whose counting stops a process with thousands of connections for tens of
 * milliseconds. For the same reason the open files are counted outside of the event loop.
 */
export function addProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: NEVER_MS });
  for (const { name } of registry.getMetricsAsArray()) {
    if (/^nodejs_(eventloop_lag|active)_/.test(name) || name === 'process_open_fds') registry.removeSingleMetric(name);
  }
  const openFiles = new Gauge({
    name: 'process_open_fds',
    help: 'Number of open file descriptors.',
    registers: [],
    async collect() {
      try {
        // Reading the folder takes a descriptor itself.
        this.set((await readdir(DESCRIPTORS_FOLDER)).length - 1);
      } catch {
        // Not Linux, or no descriptor left: better no value than a wrong one.
        this.remove();
      }
    },
  });
  registry.registerMetric(openFiles);
}
