import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { SwitchyardError } from '../../../src/errors.js';
import { Pauses } from '../../../src/failover/pauses.js';
import type { RetiringPool } from '../../../src/failover/pauses.js';
import { silentLogger } from '../../../src/log.js';
import { SessionRegistry } from '../../../src/session/registry.js';
import type { Session } from '../../../src/session/session.js';
import { PinReason } from '../../../src/sql/pin-reason.js';
import { FakeClock } from '../../support/fake-clock.js';

let clock: FakeClock;
let registry: SessionRegistry;
let pool: FakePool;
let pauses: Pauses;

beforeEach(() => {
  clock = new FakeClock();
  registry = new SessionRegistry(() => {});
  pool = new FakePool();
  pauses = new Pauses({ clock, logger: silentLogger, registry, pool, releaseWave: 10, room: () => null });
});

interface FakeBackend {
  readonly database: string;
  isIdle: boolean;
  isRetired: boolean;
}

class FakePool implements RetiringPool {
  backends: FakeBackend[] = [];

  open(database: string): FakeBackend {
    const backend = { database, isIdle: false, isRetired: false };
    this.backends.push(backend);
    return backend;
  }

  give(backend: FakeBackend): void {
    backend.isIdle = true;
    if (backend.isRetired) this.#close();
  }

  retire(database: string | null): void {
    for (const backend of this.backends) backend.isRetired ||= database === null || backend.database === database;
    this.#close();
  }

  retiring(database: string | null): number {
    return this.backends.filter((each) => each.isRetired && (database === null || each.database === database)).length;
  }

  get figures(): RetiringPool['figures'] {
    return this.backends.map(({ database }) => ({ database, total: 1 }));
  }

  #close(): void {
    this.backends = this.backends.filter(({ isIdle, isRetired }) => !isIdle || !isRetired);
  }
}

class FakeSession {
  readonly id = registry.nextId();
  readonly identity;
  readonly told: string[] = [];
  pinReason: PinReason | null = null;
  isAtBoundary = true;
  backend: FakeBackend | null;

  constructor(database: string, hasBackend = true) {
    this.identity = { user: 'app', database, cancelKey: { processId: this.id, key: Buffer.alloc(4) } };
    this.backend = hasBackend ? pool.open(database) : null;
    registry.add(this as unknown as Session);
  }

  get nodes(): readonly string[] {
    return this.backend === null ? [] : ['node1'];
  }

  leaveOld(): void {
    const { backend } = this;
    if (backend === null || !this.isAtBoundary || this.pinReason !== null) return;
    if (!backend.isRetired && !pauses.isPaused(this.identity.database)) return;
    this.backend = null;
    pool.give(backend);
  }

  reconsider(): void {
    this.told.push('reconsider');
  }

  askAnew(): void {
    this.told.push('ask anew');
  }

  end(reason: string, error: SwitchyardError): void {
    this.told.push(`${reason} ${error.sqlState}`);
    if (this.backend !== null) pool.give(this.backend);
    registry.remove(this as unknown as Session, 'killed');
  }
}

function refusal(act: () => void): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof SwitchyardError, String(error));
    return `${error.sqlState} ${error.message}${error.hint === null ? '' : ` (${error.hint})`}`;
  }
  return 'none';
}

test('a pause takes idle backends at once, and the others as soon as their sessions can be without them', () => {
  const [idle, busy, other] = [new FakeSession('app'), new FakeSession('app'), new FakeSession('other')];
  busy.pinReason = PinReason.OpenTransaction;
  pool.give(pool.open('app'));
  pauses.pause('app');
  assert.deepEqual([idle.told, other.told], [['reconsider', 'ask anew'], []]);
  assert.deepEqual([idle.backend, busy.backend !== null, other.backend !== null], [null, true, true]);
  assert.equal(pauses.isEmpty('app'), false);
  assert.equal(pauses.waitsFor('app'), '1 transaction');
  assert.deepEqual([pauses.isPaused('app'), pauses.isPaused('other'), pauses.isAllPaused], [true, false, false]);
  busy.pinReason = null;
  clock.advance(250);
  assert.deepEqual([pauses.isEmpty('app'), pauses.waitsFor('app')], [true, '']);
  assert.equal(pauses.isEmpty('other'), false);
});

test('what comes into a paused database later is taken too', () => {
  pauses.pause(null);
  assert.equal(pauses.isEmpty(null), true);
  const backend = pool.open('app');
  assert.equal(pauses.waitsFor(null), '1 backend being opened or closed');
  pool.give(backend);
  clock.advance(1000);
  assert.equal(pauses.isEmpty(null), true);
});

test('only what is paused can be resumed, all and by name apart', () => {
  assert.equal(
    refusal(() => pauses.resume(null)),
    '55000 pooler is not paused/suspended',
  );
  assert.equal(
    refusal(() => pauses.resume('app')),
    '55000 database app is not paused',
  );
  pauses.pause('app');
  pauses.pause('app');
  assert.match(
    refusal(() => pauses.resume(null)),
    /not paused\/suspended \(Paused by name: "app"/,
  );
  pauses.pause(null);
  assert.equal(
    refusal(() => pauses.pause('other')),
    '55000 already suspended/paused',
  );
  assert.match(
    refusal(() => pauses.resume('other')),
    /database other is not paused \(All databases are paused/,
  );
  pauses.resume(null);
  assert.deepEqual([pauses.paused, pauses.isAny, pauses.isPaused('other')], [['app'], true, false]);
  pauses.resume('app');
  assert.equal(pauses.isAny, false);
});

test('units that wait are let go by the resume that is about them', () => {
  const gone: string[] = [];
  const enter = (database: string): void => {
    pauses.holdOf(database).enter({ sinceMs: clock.nowMs(), onRelease: () => gone.push(database), onExpire: () => {} });
  };
  pauses.pause('app');
  pauses.pause(null);
  enter('app');
  enter('other');
  assert.equal(pauses.waiting, 2);
  pauses.resume(null);
  assert.deepEqual([gone, pauses.waiting], [['other'], 1]);
  pauses.resume('app');
  assert.deepEqual([gone, pauses.waiting], [['other', 'app'], 0]);
});

test('a reconnect closes the backends that there are, and leaves those alone that were opened since', () => {
  const [idle, busy] = [new FakeSession('app'), new FakeSession('app')];
  busy.isAtBoundary = false;
  clock.advance(1);
  pauses.reconnect('app');
  assert.deepEqual([idle.backend, pauses.retiring('app'), pauses.takesBack], [null, 1, true]);
  assert.deepEqual(busy.told, ['reconsider']);
  idle.backend = pool.open('app');
  clock.advance(1000);
  assert.notEqual(idle.backend, null);
  busy.isAtBoundary = true;
  clock.advance(250);
  assert.deepEqual([busy.backend, pauses.retiring('app')], [null, 0]);
  assert.equal(pauses.takesBack, false, 'nobody has to look any more');
});

test('a kill ends the sessions of the database, and pauses it', () => {
  const [busy, other] = [new FakeSession('app'), new FakeSession('other')];
  busy.pinReason = PinReason.TemporaryObject;
  pauses.kill('app');
  assert.equal(busy.told.at(-1), 'killed 57P01');
  assert.deepEqual([pauses.isEmpty('app'), pauses.isPaused('app'), other.told], [true, true, []]);
  pauses.killSession(other.id);
  assert.deepEqual(other.told, ['killed 57P01']);
  assert.equal(
    refusal(() => pauses.killSession(other.id)),
    '42704 client not found',
  );
});

test('a database that is disabled is told apart from the others', () => {
  pauses.disable('app');
  assert.deepEqual([pauses.isDisabled('app'), pauses.isDisabled('other'), pauses.disabled], [true, false, ['app']]);
  pauses.enable('app');
  assert.equal(pauses.isDisabled('app'), false);
});

test('behind its end it does nothing more', () => {
  const busy = new FakeSession('app');
  busy.isAtBoundary = false;
  pauses.pause(null);
  pauses.close();
  busy.isAtBoundary = true;
  clock.advance(10_000);
  assert.notEqual(busy.backend, null);
});
