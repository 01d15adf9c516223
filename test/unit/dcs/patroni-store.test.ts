import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { RawKey } from '../../../src/dcs/patroni-keys.js';
import { type ClaimsParts, type KeyEvent, PROBLEMS_MAX, PatroniStore } from '../../../src/dcs/patroni-store.js';
import { nodeName } from '../../../src/util/brand.js';
import { PATRONI_VERSIONS, STORIES, keysAfter, readRecording } from './recorded.js';

function key(suffix: string, value: string, modRevision = 1n, createRevision = 1n): RawKey {
  return { suffix, value, createRevision, modRevision };
}

function put(raw: RawKey): KeyEvent {
  return { kind: 'put', revision: raw.modRevision, key: raw };
}

function reading(...keys: readonly RawKey[]): ClaimsParts {
  const store = new PatroniStore();
  store.replace(keys);
  return store.parts;
}

const memberA = key('members/nodeA', '{"conn_url":"postgres://a/"}');
const memberB = key('members/NodeB', '{"conn_url":"postgres://b/"}');

for (const version of PATRONI_VERSIONS) {
  for (const story of STORIES) {
    test(`Patroni ${version}, ${story}: a reading plus events equals a reading of the end, at every revision`, () => {
      const recording = readRecording(version, story);
      assert.ok(recording.initial.length > 5 && recording.steps.length > 3);
      const store = new PatroniStore();
      store.replace(recording.initial);
      assert.deepEqual(store.parts, reading(...recording.initial));
      for (const [index, step] of recording.steps.entries()) {
        store.apply(step);
        const events = recording.steps.slice(0, index + 1).flat();
        assert.deepEqual(store.parts, reading(...keysAfter(recording.initial, events)));
      }
      assert.deepEqual(store.parts.problems, []);
      assert.equal(store.replace(keysAfter(recording.initial, recording.steps.flat())), false);
    });
  }

  test(`Patroni ${version}: three members, one leader, the settings of the laboratory`, () => {
    const parts = reading(...readRecording(version, 'switchover').initial);
    assert.deepEqual([...parts.members.keys()], ['node1', 'node2', 'node3']);
    assert.deepEqual(parts.leader, { name: 'node1', term: 9n });
    assert.deepEqual(parts.settings, {
      ttlS: 20,
      loopWaitS: 5,
      retryTimeoutS: 7,
      paused: false,
      synchronousMode: false,
      failsafeMode: false,
      standbyCluster: false,
    });
    assert.match(parts.systemIdentifier ?? '', /^\d{19}$/);
    assert.ok((parts.leaderOptime ?? 0n) > 0n);
    for (const member of parts.members.values()) {
      assert.equal(member.host, '127.0.0.1');
      assert.equal(member.version, version);
      assert.equal(member.timeline, 1);
      assert.ok((member.xlogLocation ?? 0n) > 0n);
      assert.equal(member.replayLsn !== null, version === '4.1.4' && member.name !== 'node1');
    }
  });

  test(`Patroni ${version}, crash: leader and member go in one step, and the next leader has a higher term`, () => {
    const recording = readRecording(version, 'crash');
    const store = new PatroniStore();
    store.replace(recording.initial);
    const first = store.parts.leader;
    assert.ok(first !== null);
    let sawBoth = false;
    for (const step of recording.steps) {
      store.apply(step);
      if (store.parts.leader === null) {
        sawBoth = sawBoth || !store.parts.members.has(first.name);
        assert.ok(sawBoth, 'the leader key went before its member key');
      }
    }
    assert.ok(sawBoth);
    assert.equal(store.parts.leader?.name, 'node3');
    assert.ok((store.parts.leader?.term ?? 0n) > first.term);
    assert.equal(store.parts.history.at(-1)?.newLeader, 'node3');
    assert.equal(store.parts.members.get(nodeName('node3'))?.role, version === '3.0.2' ? 'master' : 'primary');
  });

  test(`Patroni ${version}, switchover: announced, and cleared in the end`, () => {
    const recording = readRecording(version, 'switchover');
    const store = new PatroniStore();
    store.replace(recording.initial);
    const announced: unknown[] = [];
    for (const step of recording.steps) {
      store.apply(step);
      const { switchover } = store.parts;
      if (switchover !== null && announced.at(-1) !== switchover) announced.push(switchover);
    }
    assert.deepEqual(announced, [{ leader: 'node1', candidate: 'node2', scheduledAtEpochMs: null, revision: 21n }]);
    assert.equal(store.parts.switchover, null);
    // The one of 3.0.2 was called off by Patroni, since the candidate was too far behind.
    assert.equal(store.parts.leader?.name, version === '3.0.2' ? 'node1' : 'node2');
  });

  test(`Patroni ${version}, pause and sync: on, and off again`, () => {
    const pause = readRecording(version, 'pause');
    const store = new PatroniStore();
    store.replace(pause.initial);
    const paused = pause.steps.map((step) => {
      store.apply(step);
      return store.parts.settings.paused;
    });
    assert.ok(paused.includes(true) && paused.at(-1) === false);

    const sync = readRecording(version, 'sync');
    store.replace(sync.initial);
    const standbys = sync.steps.map((step) => {
      store.apply(step);
      return store.parts.sync?.standbys.join() ?? null;
    });
    assert.ok(standbys.includes(version === '3.0.2' ? 'node2' : 'node1'), JSON.stringify(standbys));
    assert.equal(standbys.at(-1), null);
    assert.equal(store.parts.settings.synchronousMode, false);
  });
}

test('range and events give the same parts, for any keys in any order', () => {
  const suffix = fc.constantFrom(
    'leader',
    'members/a',
    'members/B',
    'config',
    'failover',
    'sync',
    'history',
    'initialize',
    'status',
    'optime/leader',
    'failsafe',
  );
  const value = fc.constantFrom(
    '',
    'a',
    '{}',
    '{"leader":"A","sync_standby":"b , x","member":"B"}',
    '{"conn_url":"postgres://h:1/"}',
    '[[1,2,"r"]]',
    '5',
    '{',
    '{"optime":7}',
    '{"pause":true}',
  );
  const change = fc.record({ suffix, value: fc.option(value) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), fc.nat(40), (changes, at) => {
      const events = changes.map(({ suffix, value }, index): KeyEvent => {
        const revision = BigInt(index + 1);
        return value === null ? { kind: 'delete', revision, suffix } : put(key(suffix, value, revision, revision));
      });
      const store = new PatroniStore();
      store.replace(keysAfter([], events.slice(0, at)));
      store.apply(events.slice(at));
      assert.deepEqual(store.parts, reading(...keysAfter([], events)));
    }),
  );
});

test('says whether a reading found anything new, and keeps the parts as they are when it did not', () => {
  const store = new PatroniStore();
  assert.equal(store.replace([memberA, key('leader', 'nodeA', 2n)]), true);
  const { parts } = store;
  assert.equal(store.replace([key('leader', 'nodeA', 2n), memberA]), false);
  assert.equal(store.parts, parts);
  assert.equal(store.replace([memberA]), true);
  assert.equal(store.parts.leader, null);
});

test('a key that is written again with the same content is new, but changes no part', () => {
  const store = new PatroniStore();
  store.replace([memberA, key('failsafe', '{}')]);
  const { parts } = store;
  assert.equal(store.replace([{ ...memberA, modRevision: 5n }, key('failsafe', '{"a":1}', 6n)]), true);
  assert.equal(store.parts, parts);
  assert.equal(store.replace([{ ...memberA, modRevision: 5n }]), true);
  assert.equal(store.parts, parts);
});

test('a new switchover with the words of the old one is another one', () => {
  const store = new PatroniStore();
  store.apply([put(key('failover', 'a:b', 5n))]);
  assert.equal(store.parts.switchover?.revision, 5n);
  store.apply([put(key('failover', 'a:b', 8n))]);
  assert.equal(store.parts.switchover?.revision, 8n);
});

test('a leader key that was deleted and made again has another term, though it says the same', () => {
  const store = new PatroniStore();
  store.replace([key('leader', 'a', 5n, 5n)]);
  assert.equal(store.replace([key('leader', 'a', 9n, 9n)]), true);
  assert.deepEqual(store.parts.leader, { name: 'a', term: 9n });
});

test('the sync key takes the spelling of the members, in whatever order they came', () => {
  const sync = key('sync', '{"leader":"NODEa","sync_standby":"nodeb,NodeC"}');
  for (const keys of [
    [sync, memberA, memberB],
    [memberB, memberA, sync],
  ]) {
    assert.deepEqual(reading(...keys).sync, { leader: 'nodeA', standbys: ['NodeB', 'NodeC'], quorum: 0 });
  }
});

test('two members whose names differ only in case are told apart', () => {
  const sync = key('sync', '{"leader":"n","sync_standby":"N,n"}');
  const parts = reading(
    key('members/n', '{"conn_url":"postgres://a/"}'),
    key('members/N', '{"conn_url":"postgres://b/"}'),
    sync,
  );
  assert.deepEqual(parts.sync?.standbys, ['N', 'n']);
});

test('status goes before the old key, which fills in when status says nothing', () => {
  assert.equal(reading(key('optime/leader', '5'), key('status', '{"optime":7}')).leaderOptime, 7n);
  assert.equal(reading(key('optime/leader', '5')).leaderOptime, 5n);
  assert.equal(reading().leaderOptime, null);
});

test('after a rebase, terms and revisions count from there', () => {
  const store = new PatroniStore();
  store.replace([memberA, key('leader', 'nodeA', 100n, 100n)]);
  store.rebase(1000n);
  assert.deepEqual(store.parts, reading());
  store.replace([key('leader', 'nodeA', 3n, 2n), key('failover', 'a:b', 4n, 4n)]);
  assert.deepEqual(store.parts.leader, { name: 'nodeA', term: 1002n });
  assert.equal(store.parts.switchover?.revision, 1004n);
});

test('problems have a bound', () => {
  const keys = Array.from({ length: PROBLEMS_MAX + 20 }, (_, index) => key(`members/n${index}`, '{'));
  const { problems } = reading(...keys);
  assert.equal(problems.length, PROBLEMS_MAX + 1);
  assert.equal(problems.at(-1), 'and 20 more');
});

test('everything given out is frozen', () => {
  const { parts } = (() => {
    const store = new PatroniStore();
    const recording = readRecording('4.1.4', 'pause');
    store.replace([...recording.initial, key('sync', '{"leader":"node1","sync_standby":"node2"}')]);
    return store;
  })();
  for (const part of [
    parts,
    parts.leader,
    parts.settings,
    parts.history,
    parts.history[0],
    parts.problems,
    parts.sync,
    parts.sync?.standbys,
    ...parts.members.values(),
  ]) {
    assert.ok(typeof part === 'object' && part !== null && Object.isFrozen(part));
  }
});
