import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WITNESSES_MAX, Witnesses } from '../../../src/cluster/witnesses.js';
import { nodeName } from '../../../src/util/brand.js';
import { A, B, OTHER_SYSTEM, SYSTEM, primarySample, standbySample } from '../../support/cluster-fakes.js';

/** What is remembered, as `node/timeline/role@time`. */
function said(witnesses: Witnesses): string[] {
  return witnesses.all.map(
    ({ node, timeline, isPrimary, sinceMs }) => `${node}/${timeline}/${isPrimary ? 'primary' : 'standby'}@${sinceMs}`,
  );
}

test('a node that goes on showing the same has shown it since the first time', () => {
  const witnesses = new Witnesses();
  for (const atMs of [10, 20, 30]) {
    witnesses.note(A, primarySample(atMs, 1n));
    witnesses.note(B, standbySample(atMs, 1n));
  }
  assert.deepEqual(said(witnesses), ['node1/1/primary@10', 'node2/1/standby@10']);
});

test('a later timeline is news, and so is the end of recovery', () => {
  const witnesses = new Witnesses();
  witnesses.note(B, standbySample(10, 1n));
  witnesses.note(B, standbySample(20, 1n, { timeline: 2 }));
  assert.deepEqual(said(witnesses), ['node2/2/standby@20']);
  witnesses.note(B, primarySample(30, 1n, { timeline: 2 }));
  assert.deepEqual(said(witnesses), ['node2/2/primary@30']);
});

test('a standby that streams from nobody shows a lower bound, and takes nothing back', () => {
  const witnesses = new Witnesses();
  witnesses.note(B, primarySample(10, 1n, { timeline: 2 }));
  witnesses.note(B, standbySample(20, 1n, { timeline: 1, streaming: false }));
  witnesses.note(B, standbySample(30, 1n, { timeline: 2, streaming: null }));
  assert.deepEqual(said(witnesses), ['node2/2/primary@10']);
});

test('a standby that streams, and a primary, are where they say they are', () => {
  const witnesses = new Witnesses();
  witnesses.note(B, primarySample(10, 1n, { timeline: 3 }));
  witnesses.note(B, standbySample(20, 1n, { timeline: 2 }));
  assert.deepEqual(said(witnesses), ['node2/2/standby@20']);
  witnesses.note(B, primarySample(30, 1n, { timeline: 1 }));
  assert.deepEqual(said(witnesses), ['node2/1/primary@30']);
});

test('a sample without a timeline or a system says nothing; another system is another story', () => {
  const witnesses = new Witnesses();
  witnesses.note(A, primarySample(10, 1n, { timeline: null }));
  witnesses.note(A, primarySample(10, 1n, { systemIdentifier: null }));
  assert.deepEqual(said(witnesses), []);
  witnesses.note(A, primarySample(20, 1n, { timeline: 9, systemIdentifier: OTHER_SYSTEM }));
  witnesses.note(A, standbySample(30, 1n, { streaming: false }));
  assert.deepEqual(
    witnesses.all.map(({ systemIdentifier, timeline }) => [systemIdentifier, timeline]),
    [[SYSTEM, 1]],
  );
});

test('nodes that left are remembered one by one up to the bound, and beyond it by their strongest word', () => {
  const witnesses = new Witnesses();
  const present = new Map([[A, null]]);
  witnesses.note(A, primarySample(1, 1n, { timeline: 4 }));
  for (let i = 0; i < 3 * WITNESSES_MAX; i += 1) {
    const timeline = i === 5 ? 3 : 2;
    witnesses.note(nodeName(`pod-${i}`), standbySample(i, 1n, { timeline }));
    witnesses.prune(present);
  }
  assert.ok(witnesses.all.length <= WITNESSES_MAX + 1, `${witnesses.all.length} are remembered`);
  assert.ok(said(witnesses).includes('node1/4/primary@1'));
  assert.ok(said(witnesses).includes('pod-5/3/standby@5'));
});

test('of two on one timeline the primary speaks louder, of two primaries the newer', () => {
  const witnesses = new Witnesses();
  for (let i = 0; i < 2 * WITNESSES_MAX; i += 1) {
    const sample = i === 2 || i === 7 ? primarySample(i, 1n) : standbySample(i, 1n);
    witnesses.note(nodeName(`pod-${i}`), sample);
    witnesses.prune(new Map());
  }
  assert.ok(said(witnesses).includes('pod-7/1/primary@7'));
  assert.ok(!said(witnesses).includes('pod-2/1/primary@2'));
});

test('what is struck off or forgotten is not remembered', () => {
  const witnesses = new Witnesses();
  witnesses.note(A, primarySample(1, 1n));
  witnesses.note(B, primarySample(1, 1n));
  witnesses.strike(B);
  assert.deepEqual(said(witnesses), ['node1/1/primary@1']);
  witnesses.forget();
  assert.deepEqual(said(witnesses), []);
});
