import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusOf } from '../../../src/admin/status.js';
import type { StatusDocument, StatusNode } from '../../../src/admin/status-document.js';
import { renderStatus } from '../../../src/cli/status/render-status.js';
import { proxyOf } from '../admin/proxy-of.js';

const PLAIN = { columns: null, hasColour: false };

function nodeOf(over: Partial<StatusNode>): StatusNode {
  return {
    name: 'node1',
    host: '10.0.0.1',
    port: 5432,
    role: 'standby',
    health: 'healthy',
    reason: null,
    timeline: 3,
    lagBytes: 0,
    lagSeconds: 0,
    streaming: true,
    synchronous: false,
    acceptsConnections: true,
    drained: false,
    noloadbalance: false,
    nofailover: false,
    apiUrl: null,
    weight: 1,
    tags: {},
    serverVersion: 150018,
    sampleAgeSeconds: 0.1,
    sessions: 0,
    backends: { total: 0, idle: 0 },
    ...over,
  };
}

function documentOf(over: Partial<StatusDocument> = {}): StatusDocument {
  return { ...statusOf(proxyOf(), '1.2.3', 0), ...over };
}

function rowsOf(nodes: StatusNode[]): string[] {
  const lines = renderStatus(documentOf({ nodes }), PLAIN).split('\n');
  return lines.filter((line) => line.startsWith('|')).slice(1);
}

test('the whole is a headline, a table, the listeners and the sessions', () => {
  const nodes = [
    nodeOf({ role: 'primary', sessions: 12, backends: { total: 20, idle: 8 } }),
    nodeOf({ name: 'node2', host: '::1', lagBytes: 3 * 1024 * 1024, lagSeconds: 0.25, synchronous: true }),
    nodeOf({ name: 'node3', health: 'lagging', reason: 'replay is behind', lagBytes: 2 ** 30, lagSeconds: 42 }),
  ];
  const status = documentOf({
    nodes,
    sessions: { total: 12, idle: 7, active: 3, waiting: 2, startups: 1, max: 100 },
    held: { total: 2, primary: 2, standby: 0, oldestSeconds: 1.25 },
  });
  assert.deepEqual(renderStatus(status, PLAIN).split('\n'), [
    'Cluster yard: ready, phase stable, DCS live (confirmed 0 s ago); switchyard 1.2.3',
    '+-------+---------------+----------------+---------+----+---------------+----------+----------+------------------+',
    '| Node  | Host          | Role           | Health  | TL |           Lag | Sessions | Backends | Reason           |',
    '+-------+---------------+----------------+---------+----+---------------+----------+----------+------------------+',
    '| node1 | 10.0.0.1:5432 | primary        | healthy |  3 |               |       12 |       20 |                  |',
    '| node2 | [::1]:5432    | standby (sync) | healthy |  3 | 3.0 MB, 0.3 s |        0 |        0 |                  |',
    '| node3 | 10.0.0.1:5432 | standby        | lagging |  3 | 1024 MB, 42 s |        0 |        0 | replay is behind |',
    '+-------+---------------+----------------+---------+----+---------------+----------+----------+------------------+',
    'Listener rw  127.0.0.1:5000  route primary  0 sessions',
    'Listener ro  127.0.0.1:5001  route standby  0 sessions',
    'Sessions 12 of at most 100: 7 idle, 3 active, 2 waiting, 1 logging in',
    'Held     2 sessions (2 for the primary, 0 for a standby), the oldest for 1.3 s',
  ]);
});

test('a lag that is not known is not shown as none, and a small one not either', () => {
  const [unknown, half, tiny, none] = rowsOf([
    nodeOf({ lagBytes: null, lagSeconds: null }),
    nodeOf({ lagBytes: null, lagSeconds: 12 }),
    nodeOf({ lagBytes: 100, lagSeconds: 0 }),
    nodeOf({}),
  ]);
  assert.match(unknown ?? '', /\| +unknown \|/);
  assert.match(half ?? '', /\| +\? MB, 12 s \|/);
  assert.match(tiny ?? '', /\| <0\.1 MB, 0 s \|/);
  assert.match(none ?? '', /\| +0 MB, 0 s \|/);
});

test('what is wrong gets a line of its own', () => {
  const base = documentOf();
  const status = documentOf({
    ready: false,
    reason: 'the leader key is gone',
    promotion: { ...base.promotion, phase: 'leader_lost', reason: 'there is no leader', disturbedSeconds: 7 },
    dcs: { state: 'stale', ageSeconds: 31.4, trouble: 'etcd cannot be read' },
    cluster: {
      ...base.cluster,
      paused: true,
      switchover: { leader: 'node1', candidate: 'node2', scheduledAt: null },
    },
    listeners: [
      { ...(base.listeners[0] ?? assert.fail()), ready: false, reason: 'the leader key is gone', sessions: 1 },
    ],
  });
  const lines = renderStatus(status, PLAIN).split('\n');
  assert.equal(
    lines[0],
    'Cluster yard: not ready, phase leader_lost, DCS stale (confirmed 31 s ago), maintenance mode; switchyard 1.2.3',
  );
  assert.ok(lines.includes('Listener rw  127.0.0.1:5000  route primary  1 session  the leader key is gone'));
  assert.ok(lines.includes('Not ready: the leader key is gone'));
  assert.ok(lines.includes('Units for the primary have waited for 7.0 s: there is no leader'));
  assert.ok(lines.includes('DCS: etcd cannot be read'));
  assert.ok(lines.includes('Switchover from node1 to node2 asked for, now'));
});

test('on a narrow terminal only the reason is cut, and the columns stay in line', () => {
  const reason =
    'could not connect to 10.0.0.1:5432: connect ECONNREFUSED, and much more that nobody can read in a table';
  const status = documentOf({ nodes: [nodeOf({ reason }), nodeOf({})] });
  const table = (columns: number | null) =>
    renderStatus(status, { columns, hasColour: false })
      .split('\n')
      .filter((line) => /^[|+]/.test(line));
  for (const columns of [null, 200, 120, 110, 40]) {
    const widths = new Set(table(columns).map((line) => line.length));
    assert.equal(widths.size, 1, `${columns} columns`);
    const [width = 0] = widths;
    if (columns === 120 || columns === 110) assert.equal(width, columns);
  }
  assert.match(table(120).join('\n'), /could not connect to 10\.0.*\.\.\. \|/);
  assert.match(table(null).join('\n'), /read in a table \|/);
});

test('colours are there for terminals only, and do not shift the columns', () => {
  const status = documentOf({ nodes: [nodeOf({ health: 'unreachable' }), nodeOf({ health: 'healthy' })] });
  const plain = renderStatus(status, PLAIN);
  const coloured = renderStatus(status, { columns: null, hasColour: true });
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(plain, /\u001B/);
  assert.ok(coloured.includes('\u001B[31munreachable\u001B[0m'));
  // oxlint-disable-next-line no-control-regex
  assert.equal(coloured.replace(/\u001B\[\d+m/g, ''), plain);
});

test('what a node said cannot command the terminal', () => {
  const nasty = 'line\nbreak \u001B]0;title\u0007 \u009B31m';
  const text = renderStatus(documentOf({ nodes: [nodeOf({ reason: nasty, name: nasty })], reason: nasty }), PLAIN);
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(text, /[\u0000-\u0009\u000B-\u001F\u007F-\u009F]/);
  assert.match(text, /line break \?\]0;title\? \?31m/);
});

test('what is drained is told, and what waits meanwhile', () => {
  const proxy = proxyOf();
  const status = statusOf(proxy, '1.2.3', 0);
  const drain = {
    id: 1,
    node: 'node1',
    target: 'primary',
    firm: false,
    sinceSeconds: 2.5,
    sessions: 1,
    reasons: { open_transaction: 1 },
    verdict: null,
    end: null,
  };
  const promotion = {
    ...status.promotion,
    admits: 'repeatable',
    reason: 'node1 is about to be stopped',
    disturbedSeconds: 2.5,
  };
  const lines = renderStatus(
    { ...status, promotion, drains: [drain, { ...drain, node: 'node2', target: 'standby', sessions: 0 }] },
    PLAIN,
  );
  assert.match(lines, /^Transactions for the primary have waited for 2\.5 s: node1 is about to be stopped$/m);
  assert.match(lines, /^Drained for 2\.5 s: node1 \(primary\), 1 session left$/m);
  assert.match(lines, /^Drained for 2\.5 s: node2 \(standby\), it is empty$/m);
});

test('what an operator has paused or disabled is not forgotten', () => {
  const pauses = { all: false, databases: ['app', 'shop'], disabled: ['old'], waiting: 3 };
  const lines = renderStatus(documentOf({ pauses }), PLAIN).split('\n');
  assert.ok(lines.includes('Paused   app, shop: 3 sessions waiting for RESUME'), lines.join('\n'));
  assert.ok(lines.includes('Disabled old'));
  assert.match(renderStatus(documentOf({ pauses: { ...pauses, all: true } }), PLAIN), /^Paused {3}all databases: /m);
});
