import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Catalogs, CATALOGS_MAX } from '../../../src/cluster/catalogs.js';
import type { Logger } from '../../../src/log.js';
import { silentLogger } from '../../../src/log.js';
import { FakeClock } from '../../support/fake-clock.js';
import { StatementReader } from '../sql/read-statements.js';
import { FakeCatalog, nodeError } from './fake-catalog.js';

const REFRESH_MS = 60_000;
const noRules = { readFunctions: [], writeFunctions: [] };
let reader: StatementReader;

before(async () => {
  reader = await StatementReader.load();
});

/** Catalogues of databases that a test makes up. */
class Lab {
  readonly clock = new FakeClock();
  readonly databases = new Map<string, FakeCatalog>();
  readonly warnings: string[] = [];
  readonly outcomes: string[] = [];
  /** What logging in to a database fails with. */
  failure: Error | null = null;
  /** Loadings wait for this. */
  gate: Promise<void> = Promise.resolve();
  talks = 0;
  mostAtOnce = 0;
  readonly catalogs: Catalogs;

  constructor() {
    let underWay = 0;
    const logger: Logger = {
      ...silentLogger,
      warn: (fields, text) => void this.warnings.push(`${text} ${JSON.stringify(fields)}`),
    };
    this.catalogs = new Catalogs(
      { refreshMs: REFRESH_MS, rules: noRules },
      {
        clock: this.clock,
        logger,
        analyzer: () => reader.analyzer,
        onLoad: (outcome) => void this.outcomes.push(outcome),
        monitor: {
          talk: async (database, run) => {
            this.talks += 1;
            underWay += 1;
            this.mostAtOnce = Math.max(this.mostAtOnce, underWay);
            try {
              await this.gate;
              if (this.failure !== null) throw this.failure;
              return await run(this.node(database).ask);
            } finally {
              underWay -= 1;
            }
          },
        },
      },
    );
  }

  node(database: string): FakeCatalog {
    const node = this.databases.get(database) ?? new FakeCatalog();
    this.databases.set(database, node);
    return node;
  }

  /** Asks, and waits until what that began has ended. */
  async load(database = 'app'): Promise<void> {
    this.catalogs.of(database);
    await this.settle();
  }

  async settle(): Promise<void> {
    // Everything here is settled without time passing.
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => void setImmediate(resolve));
  }

  isRead(sql: string, database = 'app'): boolean | null {
    const [statement] = reader.analyze(sql).statements;
    assert.ok(statement !== undefined);
    return this.catalogs.of(database)?.verdictOf(statement).isRead ?? null;
  }
}

test('asking begins the loading, once, and nobody waits for it', async () => {
  const lab = new Lab();
  assert.equal(lab.catalogs.of('app'), null);
  assert.equal(lab.catalogs.of('app'), null);
  await lab.settle();
  assert.equal(lab.isRead('select now()'), true);
  assert.equal(lab.talks, 1);
  assert.deepEqual(lab.outcomes, ['ok']);
});

test('what has grown old is confirmed by whoever asks next, and used meanwhile', async () => {
  const lab = new Lab();
  await lab.load();
  const catalog = lab.catalogs.of('app');
  lab.clock.advance(REFRESH_MS - 1);
  await lab.load();
  assert.equal(lab.talks, 1);
  lab.clock.advance(1);
  assert.equal(lab.catalogs.of('app'), catalog);
  await lab.settle();
  assert.equal(lab.talks, 2);
  // Nothing has changed, so that all verdicts are kept.
  assert.equal(lab.catalogs.of('app'), catalog);
  const node = lab.node('app');
  node.volatile = ['pg_catalog.now'];
  node.functions = ['pg_catalog.other'];
  node.fingerprint = 'second';
  lab.clock.advance(REFRESH_MS);
  assert.equal(lab.isRead('select now()'), true);
  await lab.settle();
  assert.equal(lab.isRead('select now()'), false);
});

test('DDL is followed within a second, however much there is, also when it comes during a loading', async () => {
  const lab = new Lab();
  lab.catalogs.changed('nobody');
  await lab.load();
  lab.clock.advance(5_000);
  for (let at = 0; at < 100; at += 1) {
    lab.catalogs.changed('app');
    await lab.load();
  }
  assert.equal(lab.talks, 2);
  lab.clock.advance(1_000);
  await lab.load();
  assert.equal(lab.talks, 3);
  let open = (): void => {};
  lab.gate = new Promise((resolve) => void (open = resolve));
  lab.clock.advance(2_000);
  lab.catalogs.changed('app');
  await lab.load();
  lab.catalogs.changed('app');
  open();
  lab.gate = Promise.resolve();
  await lab.settle();
  assert.equal(lab.talks, 4);
  lab.clock.advance(1_000);
  await lab.load();
  assert.equal(lab.talks, 5);
  lab.clock.advance(10_000);
  await lab.load();
  assert.equal(lab.talks, 5);
});

test('a name that is not known has it loaded early, and ever less often as long as there is nothing new', async () => {
  const lab = new Lab();
  await lab.load();
  const loadsWithin = async (seconds: number): Promise<number> => {
    const before = lab.talks;
    for (let at = 0; at < seconds; at += 1) {
      lab.clock.advance(1_000);
      lab.catalogs.missed('app');
      await lab.load();
    }
    return lab.talks - before;
  };
  assert.equal(await loadsWithin(5), 1);
  assert.equal(await loadsWithin(9), 0);
  assert.equal(await loadsWithin(1), 1);
  assert.equal(await loadsWithin(20), 1);
  assert.ok((await loadsWithin(600)) <= 16);
  lab.node('app').fingerprint = 'second';
  // Within a minute that is seen, and then it is looked for after 5, 10, 20 seconds again.
  assert.ok((await loadsWithin(120)) >= 4);
});

test('what cannot be loaded is told once, tried again ever later, and the reads go to the primary', async () => {
  const lab = new Lab();
  lab.failure = nodeError('42501', 'permission denied for database "app"', 'FATAL');
  for (let second = 0; second < 600; second += 1) {
    await lab.load();
    assert.equal(lab.catalogs.of('app'), null);
    lab.clock.advance(1_000);
  }
  assert.ok(lab.talks >= 10 && lab.talks <= 30, String(lab.talks));
  assert.equal(lab.warnings.length, 1);
  assert.match(lab.warnings[0] ?? '', /reads go to the primary.*permission denied.*GRANT CONNECT/);
  assert.match(lab.catalogs.troubleOf('app') ?? '', /permission denied/);
  lab.catalogs.changed('app');
  lab.catalogs.missed('app');
  const before = lab.talks;
  await lab.load();
  assert.ok(lab.talks - before <= 1);
  lab.failure = null;
  lab.clock.advance(60_000);
  await lab.load();
  assert.equal(lab.isRead('select now()'), true);
  assert.equal(lab.catalogs.troubleOf('app'), null);
});

test('a catalogue that cannot be confirmed stays in use for a while, and not for ever', async () => {
  const lab = new Lab();
  await lab.load();
  lab.failure = new Error('no node answers');
  for (let minute = 0; minute < 9; minute += 1) {
    lab.clock.advance(60_000);
    await lab.load();
    assert.equal(lab.isRead('select now()'), true);
  }
  lab.clock.advance(60_001);
  await lab.load();
  assert.equal(lab.catalogs.of('app'), null);
});

test('the catalogue of a database that was dropped is forgotten at once', async () => {
  const lab = new Lab();
  await lab.load();
  lab.failure = nodeError('3D000', 'database "app" does not exist', 'FATAL');
  lab.clock.advance(REFRESH_MS);
  await lab.load();
  assert.equal(lab.catalogs.of('app'), null);
  lab.failure = null;
  lab.clock.advance(REFRESH_MS);
  await lab.load();
  // The digest of the old one proves nothing.
  assert.deepEqual(lab.node('app').asked, ['catalog', 'catalog']);
});

test('each database has its own, some are loaded at one time, and there is room for so many', async () => {
  const lab = new Lab();
  lab.node('b').volatile = ['app.f'];
  lab.node('a').functions = ['app.f'];
  await lab.load('a');
  await lab.load('b');
  assert.equal(lab.isRead('select f()', 'a'), true);
  assert.equal(lab.isRead('select f()', 'b'), false);
  for (let at = 2; at < CATALOGS_MAX + 10; at += 1) lab.catalogs.of(`d${at}`);
  for (let round = 0; round < CATALOGS_MAX; round += 1) {
    for (let at = 2; at < CATALOGS_MAX + 10; at += 1) lab.catalogs.of(`d${at}`);
    await lab.settle();
  }
  assert.equal(lab.mostAtOnce, 2);
  assert.equal(lab.catalogs.size, CATALOGS_MAX);
  assert.equal(lab.warnings.length, 1);
  assert.match(lab.warnings[0] ?? '', /too many databases/);
  assert.notEqual(lab.catalogs.of('d5'), null);
  assert.equal(lab.catalogs.of(`d${CATALOGS_MAX + 5}`), null);
  // Those that nobody asks for make room.
  lab.clock.advance(REFRESH_MS);
  lab.catalogs.of('d5');
  await lab.load(`d${CATALOGS_MAX + 5}`);
  assert.notEqual(lab.catalogs.of(`d${CATALOGS_MAX + 5}`), null);
  assert.notEqual(lab.catalogs.of('d5'), null);
  assert.equal(lab.catalogs.size, CATALOGS_MAX);
});

test('who is only curious takes no room that sessions may need', async () => {
  const lab = new Lab();
  for (let at = 0; at < CATALOGS_MAX; at += 1) lab.catalogs.lookAt(`d${at}`);
  assert.equal(lab.catalogs.size, CATALOGS_MAX / 2);
  await lab.load('d1');
  assert.notEqual(lab.catalogs.lookAt('d1'), null);
});

test('new rules and a new interval hold at once', async () => {
  const lab = new Lab();
  lab.node('app').volatile = ['app.touch'];
  await lab.load();
  assert.equal(lab.isRead('select touch()'), false);
  lab.catalogs.reconfigure({ refreshMs: 10_000, rules: { readFunctions: ['touch'], writeFunctions: ['now'] } });
  assert.equal(lab.isRead('select touch()'), true);
  assert.equal(lab.isRead('select now()'), false);
  lab.clock.advance(10_000);
  await lab.load();
  assert.equal(lab.talks, 2);
});

test('what comes after the end is nobody’s', async () => {
  const lab = new Lab();
  lab.catalogs.of('app');
  lab.catalogs.close();
  await lab.settle();
  assert.equal(lab.catalogs.of('app'), null);
  assert.deepEqual(lab.outcomes, []);
});
