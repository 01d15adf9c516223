import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DWELL_MAX_MS,
  STREAM_GRACE_MS,
  healthAfterFailure,
  healthAfterSample,
  healthAfterTime,
  initialHealth,
} from '../../../src/cluster/health.js';
import type { HealthOptions, HealthState, Measure } from '../../../src/cluster/health.js';
import type { FailureKind } from '../../../src/replication/probe-failure.js';
import { failureOf } from '../../support/cluster-fakes.js';

const OPTIONS: HealthOptions = {
  maxLagMs: 10_000,
  maxLagBytes: 16_000_000,
  recoverLagMs: 5000,
  recoverLagBytes: 8_000_000,
  lagSamples: 3,
  minDwellMs: 2000,
  requireStreaming: true,
  warmUpMs: 1000,
  sampleMaxAgeMs: 5000,
};

function measureOf(
  ms: number | null,
  over: Partial<Measure> & { bytes?: number | null; exact?: boolean } = {},
): Measure {
  const { bytes = 0, exact = true, ...rest } = over;
  return {
    isPrimary: false,
    lag: { bytes: ms === null ? null : bytes, ms, exact, tick: null },
    streaming: true,
    canStream: true,
    replayPaused: false,
    startedAtMs: Number.NEGATIVE_INFINITY,
    gap: null,
    timelineTrouble: null,
    ...rest,
  };
}

/** A node that is probed every 250 ms, with a list of the healths it went through. */
class Patient {
  nowMs = 100_000;
  state: HealthState;
  readonly options: HealthOptions;
  readonly path: string[] = [];

  constructor(options: Partial<HealthOptions> = {}) {
    this.options = { ...OPTIONS, ...options };
    this.state = initialHealth(this.nowMs);
  }

  #take(state: HealthState): void {
    if (state.health !== this.state.health) {
      this.path.push(state.health);
    }
    this.state = state;
  }

  sample(measure: Measure, afterMs = 250): this {
    this.nowMs += afterMs;
    this.#take(healthAfterSample(this.state, measure, this.nowMs, this.options));
    return this;
  }

  lag(ms: number | null, times = 1): this {
    for (let index = 0; index < times; index += 1) {
      this.sample(measureOf(ms));
    }
    return this;
  }

  fail(kind: FailureKind, afterMs = 250): this {
    this.nowMs += afterMs;
    this.#take(healthAfterFailure(this.state, failureOf(kind, this.nowMs), this.nowMs, this.options));
    return this;
  }

  wait(ms: number): this {
    this.nowMs += ms;
    this.#take(healthAfterTime(this.state, this.nowMs, this.options));
    return this;
  }

  get health(): string {
    return this.state.health;
  }

  get isHealthy(): boolean {
    return this.state.health === 'healthy';
  }
}

function healthy(options: Partial<HealthOptions> = {}): Patient {
  const patient = new Patient(options).lag(0);
  assert.equal(patient.health, 'healthy');
  patient.path.length = 0;
  return patient;
}

test('a node of which nothing is known is not fresh', () => {
  assert.equal(new Patient().health, 'unknown');
});

test('one fresh sample of a node that has run for long is enough at the first contact', () => {
  assert.equal(new Patient().lag(0).health, 'healthy');
});

test('a node that was started just now has to warm up', () => {
  const patient = new Patient();
  const startedAtMs = patient.nowMs - 3000;
  for (let index = 0; index < 4; index += 1) {
    assert.equal(patient.sample(measureOf(0, { startedAtMs })).health, 'unknown');
  }
  assert.equal(patient.sample(measureOf(0, { startedAtMs })).health, 'healthy');
});

test('one odd sample changes nothing', () => {
  const patient = healthy();
  patient.lag(60_000).lag(0, 3).lag(60_000).lag(60_000).lag(0, 10);
  assert.deepEqual(patient.path, []);
});

test('a standby that stays behind leaves within one second, once', () => {
  const patient = healthy();
  const sinceMs = patient.nowMs;
  while (patient.isHealthy) {
    patient.lag(10_001);
  }
  assert.ok(patient.nowMs - sinceMs <= 1000, `${patient.nowMs - sinceMs} ms`);
  patient.lag(12_000, 100);
  assert.deepEqual(patient.path, ['lagging']);
});

test('exactly at the limit is not over it, by time and by bytes', () => {
  const patient = healthy();
  patient.sample(measureOf(10_000)).sample(measureOf(10_000)).sample(measureOf(10_000));
  for (let index = 0; index < 5; index += 1) {
    patient.sample(measureOf(0, { bytes: 16_000_000 }));
  }
  assert.equal(patient.health, 'healthy');
});

test('too many bytes are too much, however fresh the standby is by time', () => {
  const patient = healthy();
  for (let index = 0; index < 3; index += 1) {
    patient.sample(measureOf(300, { bytes: 16_000_001 }));
  }
  assert.equal(patient.health, 'lagging');
  assert.match(patient.state.reason ?? '', /16000000 bytes/);
});

test('a standby comes back once it has been good for longer than the recovery limit', () => {
  const patient = healthy().lag(20_000, 3);
  assert.equal(patient.health, 'lagging');
  patient.lag(100);
  const goodAtMs = patient.nowMs;
  while (!patient.isHealthy) {
    patient.lag(100);
  }
  assert.ok(patient.nowMs - goodAtMs > 5000 && patient.nowMs - goodAtMs <= 5250);
  assert.equal(patient.state.reason, null);
  assert.deepEqual(patient.path, ['lagging', 'healthy']);
});

test('between the two limits a lagging standby stays out and a healthy one stays in', () => {
  const patient = healthy().lag(7000, 50);
  assert.equal(patient.health, 'healthy');
  patient.lag(11_000, 3).lag(7000, 200);
  assert.equal(patient.health, 'lagging');
});

test('a sawtooth around the limit is one transition', () => {
  const patient = healthy();
  for (let index = 0; index < 400; index += 1) {
    patient.lag(8000 + 500 * (index % 10));
  }
  assert.deepEqual(patient.path, ['lagging']);
});

test('an archive that comes in pieces (the lag falls to nothing and grows again) is one transition', () => {
  const patient = healthy({ requireStreaming: false });
  for (let piece = 0; piece < 22; piece += 1) {
    for (let ms = 0; ms < 60_000; ms += 250) {
      patient.sample(measureOf(ms, { streaming: false }));
    }
  }
  assert.deepEqual(patient.path, ['lagging']);
});

test('a node that comes and goes has to be good for longer and longer', () => {
  const patient = healthy();
  const returns: number[] = [];
  for (let round = 0; round < 6; round += 1) {
    while (patient.isHealthy) {
      patient.lag(20_000);
    }
    patient.lag(0);
    const goodAtMs = patient.nowMs;
    while (!patient.isHealthy) {
      patient.lag(0);
    }
    returns.push(Math.round((patient.nowMs - goodAtMs) / 1000));
  }
  assert.deepEqual(returns, [5, 10, 20, 40, 60, 60]);
  assert.equal(DWELL_MAX_MS, 60_000);
  patient.lag(0, 400);
  while (patient.isHealthy) {
    patient.lag(20_000);
  }
  assert.equal(patient.state.dwellMs, 5000, 'after a long time in health the past is forgotten');
});

test('unknown lag takes a healthy standby out with the samples it takes, and it comes back with its first fresh one', () => {
  const patient = healthy().lag(null, 2);
  assert.equal(patient.health, 'healthy');
  patient.lag(null);
  assert.equal(patient.health, 'unknown');
  assert.match(patient.state.reason ?? '', /lag unknown/);
  assert.equal(patient.lag(10).health, 'healthy');
});

test('a lower bound proves nothing while it is small: the node stays what it is', () => {
  const inexact = measureOf(100, { exact: false, bytes: 10 });
  assert.equal(healthy().sample(inexact).sample(inexact).sample(inexact).health, 'healthy');
  const fresh = new Patient().sample(inexact).sample(inexact);
  assert.equal(fresh.health, 'unknown');
  assert.match(fresh.state.reason ?? '', /not caught up yet/);
});

test('a lower bound over the limit is over the limit', () => {
  const patient = healthy();
  for (let index = 0; index < 3; index += 1) {
    patient.sample(measureOf(10_001, { exact: false }));
  }
  assert.equal(patient.health, 'lagging');
});

test('samples at one moment count as one', () => {
  const patient = healthy();
  for (let index = 0; index < 12; index += 1) {
    patient.sample(measureOf(60_000), 5);
  }
  assert.equal(patient.health, 'healthy', 'a dozen samples within 60 ms are one observation');
  patient.lag(60_000, 2);
  assert.equal(patient.health, 'lagging');
});

test('refused, starting up and shutting down are proof at once', () => {
  for (const kind of ['refused', 'starting_up', 'shutting_down', 'not_accepting'] as const) {
    const patient = healthy().fail(kind);
    assert.equal(patient.health, 'unreachable', kind);
    assert.equal(patient.state.reason, `it is ${kind}`);
  }
});

test('one slow probe proves nothing, two in a row do', () => {
  for (const kind of ['timeout', 'lost', 'other'] as const) {
    const patient = healthy().fail(kind, 2000);
    assert.equal(patient.health, 'healthy', kind);
    patient.lag(0).fail(kind, 2000);
    assert.equal(patient.health, 'healthy', `${kind}: an answer between them begins a new count`);
    patient.fail(kind, 2000);
    assert.equal(patient.health, 'unreachable', kind);
  }
});

test('a monitor role that is not let in leaves the node unknown, not unreachable', () => {
  for (const kind of ['login_failed', 'no_slot', 'protocol'] as const) {
    assert.equal(healthy().fail(kind).fail(kind).health, 'unknown', kind);
  }
});

test('a node that comes back warms up and dwells before it gets work', () => {
  const patient = healthy().fail('refused').fail('refused').fail('starting_up');
  patient.lag(0);
  assert.equal(patient.health, 'unknown');
  const backAtMs = patient.nowMs;
  while (!patient.isHealthy) {
    patient.lag(0);
  }
  assert.ok(patient.nowMs - backAtMs > 2000 && patient.nowMs - backAtMs <= 2250);
  assert.deepEqual(patient.path, ['unreachable', 'unknown', 'healthy']);
});

test('the warm-up counts where it is longer than the dwell', () => {
  const patient = healthy({ warmUpMs: 30_000 }).fail('refused').lag(0);
  const backAtMs = patient.nowMs;
  while (!patient.isHealthy) {
    patient.lag(0);
  }
  assert.equal(patient.nowMs - backAtMs, 30_000);
});

test('a failure in between breaks the run of good samples', () => {
  const patient = healthy().lag(20_000, 3).lag(0, 15).fail('timeout').lag(0, 15);
  assert.equal(patient.health, 'lagging');
});

test('an old answer says nothing: unknown is not fresh', () => {
  const patient = healthy().wait(5000);
  assert.equal(patient.health, 'healthy');
  patient.wait(1);
  assert.equal(patient.health, 'unknown');
  assert.equal(patient.state.reason, 'no answer lately');
});

test('time alone does not change what is unreachable or was never known', () => {
  assert.equal(healthy().fail('refused').wait(60_000).health, 'unreachable');
  assert.equal(new Patient().wait(60_000).state.reason, 'no answer yet');
});

test('a standby without a stream is out when a stream is required, after the grace in which it may find the new primary', () => {
  const patient = healthy();
  const sinceMs = patient.nowMs;
  while (patient.isHealthy) {
    patient.sample(measureOf(100, { streaming: false }));
  }
  assert.equal(patient.state.reason, 'receives no WAL stream');
  const goneMs = patient.nowMs - sinceMs;
  assert.ok(goneMs > STREAM_GRACE_MS && goneMs <= STREAM_GRACE_MS + 1250, `${goneMs} ms`);
});

test('the grace begins when there is a primary to stream from again, however long there was none', () => {
  const patient = healthy();
  for (let index = 0; index < 120; index += 1) {
    patient.sample(measureOf(0, { streaming: false, canStream: false }));
  }
  for (let index = 0; index < 20; index += 1) {
    patient.sample(measureOf(0, { streaming: false }));
  }
  assert.equal(patient.health, 'healthy');
});

test('a standby without a stream never comes in when a stream is required', () => {
  const patient = new Patient();
  for (let index = 0; index < 100; index += 1) {
    patient.sample(measureOf(0, { streaming: false }));
  }
  assert.equal(patient.health, 'lagging');
});

test('archive recovery is as good as a stream where none is required and it is fresh', () => {
  const patient = new Patient({ requireStreaming: false });
  patient.sample(measureOf(1000, { streaming: false }));
  assert.equal(patient.health, 'healthy');
});

test('a stream that cannot be seen is no stream: unknown, with the statement that mends it', () => {
  const gap = 'the WAL receiver is hidden: GRANT pg_monitor TO m';
  const patient = new Patient().sample(measureOf(0, { streaming: null, gap }));
  assert.equal(patient.health, 'unknown');
  assert.equal(patient.state.reason, gap);
  const lax = new Patient({ requireStreaming: false }).sample(measureOf(0, { streaming: null, gap }));
  assert.equal(lax.health, 'healthy');
});

test('a primary is healthy at its first sample', () => {
  const patient = new Patient().sample(measureOf(0, { isPrimary: true, streaming: false }));
  assert.equal(patient.health, 'healthy');
});

test('a paused replay is named as the cause', () => {
  const patient = healthy();
  for (let index = 0; index < 3; index += 1) {
    patient.sample(measureOf(11_000, { replayPaused: true }));
  }
  assert.match(patient.state.reason ?? '', /^replay is paused/);
});

test('the reason does not change from sample to sample', () => {
  const patient = healthy().lag(11_000, 3);
  const { reason } = patient.state;
  patient.lag(12_345).lag(98_765);
  assert.equal(patient.state.reason, reason);
});
