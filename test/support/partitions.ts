import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rmdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../../src/errors.js';
import { isAlive } from '../../src/cli/demo/postgres/process-tree.js';
import { requirePrograms } from './install.js';
import { listenOnLoopback } from './ports.js';
import { testGuard } from './processes.js';

const run = promisify(execFile);

/** How long the self-test waits for a connection that must not come about. */
const SELF_TEST_MS = 400;

/** Where the cgroup v2 tree is mounted: alone, or beside the v1 trees. The second part is its path as nftables wants it. */
const CGROUP_TREES = [
  { mount: '/sys/fs/cgroup', prefix: '' },
  { mount: '/sys/fs/cgroup/unified', prefix: 'unified/' },
] as const;

const TABLE_PREFIX = 'switchyard-test-';

/** TCP packets to be dropped: from the sockets of a group, or (null) from everybody, to these ports. */
export interface DropRule {
  readonly from: string | null;
  readonly toPorts: readonly number[];
  /** A group whose own packets to these ports pass all the same. */
  readonly except?: string;
  /** Drop the answers that come from these ports, too: then connections that were open stop at once in both directions. */
  readonly answersToo?: boolean;
}

/**
 * Network partitions between programs of one machine: each program runs in a cgroup of its own, and nftables drops packets by cgroup
 * and port, silently, as a broken network does. Needs root, nftables and cgroup v2; where they do not work, the first rule says why.
 */
export class Partitions {
  readonly #table: string;
  readonly #tree: (typeof CGROUP_TREES)[number] | null;
  readonly #groups: Set<string>;
  #trouble: string | null;
  /** Path of `nft`, which is often outside PATH; known once partitions are proven. */
  #nft: string;
  #isProven: boolean;
  #unguard: (() => void) | null;

  constructor() {
    // The pid tells later runs whose leavings these are.
    this.#table = `${TABLE_PREFIX}${process.pid}-${randomBytes(3).toString('hex')}`;
    this.#tree = CGROUP_TREES.find(({ mount }) => existsSync(join(mount, 'cgroup.procs'))) ?? null;
    this.#groups = new Set();
    this.#trouble = this.#tree === null ? 'there is no cgroup v2 tree' : null;
    this.#nft = '';
    this.#isProven = false;
    this.#unguard = null;
  }

  /** Makes a group and returns the command prefix that runs a program in it; empty when groups cannot be made. */
  async join(group: string): Promise<readonly string[]> {
    if (this.#tree === null || this.#trouble !== null) return [];
    const folder = this.#folder(group);
    try {
      await mkdir(folder, { recursive: true });
    } catch (error) {
      this.#trouble = messageOf(error);
      return [];
    }
    this.#groups.add(group);
    return ['sh', '-c', 'echo $$ > "$0" && exec "$@"', join(folder, 'cgroup.procs')];
  }

  /** Adds rules to those that are in force. */
  async drop(rules: readonly DropRule[]): Promise<void> {
    if (!this.#isProven) await this.#prove();
    await this.#apply(rules);
  }

  /** Ends all rules. */
  async heal(): Promise<void> {
    this.#unguard?.();
    this.#unguard = null;
    if (this.#nft !== '') await run(this.#nft, ['delete', 'table', 'inet', this.#table]).catch(() => {});
  }

  /** Ends all rules and removes the groups, whose programs must have ended. */
  async close(): Promise<void> {
    await this.heal();
    for (const group of this.#groups) await rmdir(this.#folder(group)).catch(() => {});
  }

  #folder(group: string): string {
    return join(this.#tree?.mount ?? '', `${this.#table}-${group}`);
  }

  /** The condition of nftables "this packet's local socket belongs to the group". */
  #inGroup(group: string): string {
    return `socket cgroupv2 level 1 "${this.#tree?.prefix ?? ''}${this.#table}-${group}"`;
  }

  async #apply(rules: readonly DropRule[]): Promise<void> {
    const lines = [
      `add table inet ${this.#table}`,
      `add chain inet ${this.#table} out { type filter hook output priority 0; policy accept; }`,
      `add chain inet ${this.#table} in { type filter hook input priority 0; policy accept; }`,
    ];
    for (const rule of rules) {
      const ports = `{ ${rule.toPorts.join(', ')} }`;
      const from = rule.from === null ? '' : `${this.#inGroup(rule.from)} `;
      const except = rule.except === undefined ? null : this.#inGroup(rule.except);
      const chains = [['out', 'dport'], ...(rule.answersToo === true ? [['in', 'sport']] : [])];
      for (const [chain, port] of chains) {
        if (except !== null) lines.push(`add rule inet ${this.#table} ${chain} ${except} tcp ${port} ${ports} accept`);
        lines.push(`add rule inet ${this.#table} ${chain} ${from}tcp ${port} ${ports} drop`);
      }
    }
    this.#unguard ??= testGuard.add(() => spawnSync(this.#nft, ['delete', 'table', 'inet', this.#table]));
    const { status, error, stderr } = spawnSync(this.#nft, ['-f', '-'], {
      input: `${lines.join('\n')}\n`,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`nft: ${error?.message ?? stderr}`);
  }

  /** Removes what test processes left that were killed: their rules would still drop packets to their ports. */
  async #sweep(): Promise<void> {
    const isLeft = (name: string): boolean => {
      const owner = new RegExp(`^${TABLE_PREFIX}(\\d+)-`).exec(name);
      return owner !== null && !isAlive(Number(owner[1]));
    };
    const { stdout } = await run(this.#nft, ['list', 'tables']);
    const tables = [...stdout.matchAll(/^table inet (\S+)$/gm)].map((match) => match[1] ?? '');
    for (const table of tables.filter(isLeft)) await run(this.#nft, ['delete', 'table', 'inet', table]);
    const { mount = '' } = this.#tree ?? {};
    for (const group of (await readdir(mount)).filter(isLeft)) await rmdir(join(mount, group)).catch(() => {});
  }

  /** Shows that a rule stops a connection: a kernel may take rules on cgroups and match none (in a container, for one). */
  async #prove(): Promise<void> {
    const server = createServer((socket) => socket.destroy());
    try {
      [this.#nft = ''] = await requirePrograms('nft');
      await this.#sweep();
      const port = await listenOnLoopback(server);
      const group = 'self-test';
      const prefix = await this.join(group);
      if (this.#trouble !== null) throw new Error(this.#trouble);
      if (!(await connects(prefix, port))) throw new Error('the self-test cannot connect without a rule');
      await this.#apply([{ from: group, toPorts: [port] }]);
      if (await connects(prefix, port)) throw new Error('the kernel does not match packets by cgroup');
      await this.heal();
      this.#isProven = true;
    } catch (error) {
      await this.heal();
      throw new Error(`partitions need root, nftables and cgroup v2 here: ${messageOf(error)}`, { cause: error });
    } finally {
      server.close();
    }
  }
}

async function connects(prefix: readonly string[], port: number): Promise<boolean> {
  const command = [...prefix, 'bash', '-c', `exec 3<>/dev/tcp/127.0.0.1/${port}`];
  return run(command[0] ?? '', command.slice(1), { timeout: SELF_TEST_MS, killSignal: 'SIGKILL' }).then(
    () => true,
    () => false,
  );
}
