import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { DcsState } from '../../src/dcs/claims.js';
import { type EtcdServerOptions, startEtcd } from '../support/etcd-server.js';
import { PREFIX, followEtcd } from '../support/follow-etcd.js';
import { requirePrograms } from '../support/install.js';

const run = promisify(execFile);

interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly server: NonNullable<EtcdServerOptions['tls']>;
}

/** An authority, a certificate of it for the name `etcd.example` (and for no address), and one for a client. */
async function makeCertificates(t: TestContext): Promise<Certificates> {
  const [openssl = ''] = await requirePrograms('openssl');
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-tls-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = (name: string) => join(folder, name);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await run(openssl, [
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    '/CN=ca',
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.crt'),
  ]);
  await writeFile(file('ext'), 'subjectAltName=DNS:etcd.example\nextendedKeyUsage=serverAuth,clientAuth\n');
  for (const name of ['server', 'client']) {
    await run(openssl, [
      'req',
      ...newKey,
      '-subj',
      `/CN=${name}`,
      '-keyout',
      file(`${name}.key`),
      '-out',
      file(`${name}.csr`),
    ]);
    const sign = [
      '-CA',
      file('ca.crt'),
      '-CAkey',
      file('ca.key'),
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      file('ext'),
    ];
    await run(openssl, ['x509', '-req', '-in', file(`${name}.csr`), ...sign, '-out', file(`${name}.crt`)]);
  }
  return {
    ca: await readFile(file('ca.crt'), 'utf8'),
    cert: await readFile(file('client.crt'), 'utf8'),
    key: await readFile(file('client.key'), 'utf8'),
    server: { certFile: file('server.crt'), keyFile: file('server.key'), caFile: file('ca.crt') },
  };
}

test('follows over TLS with a client certificate, and only an etcd that can show who it is', async (t) => {
  const { ca, cert, key, server } = await makeCertificates(t);
  const etcd = await startEtcd(t, { tls: server });
  const hosts = [{ host: etcd.host, port: etcd.tlsPort }];
  const serverName = 'etcd.example';
  const good = followEtcd(t, { hosts, tls: { ca, cert, key, serverName } });
  await good.until('the first answer', ({ state }) => state === DcsState.Live);
  await etcd.put(`${PREFIX}leader`, 'node1');
  await good.until('news by the watch', ({ leader }) => leader?.name === 'node1');

  const bad = {
    'a name that is not in the certificate': { ca, cert, key, serverName: null },
    'an authority that is not known': { ca: null, cert, key, serverName },
    'no client certificate': { ca, cert: null, key: null, serverName },
  };
  for (const [what, tls] of Object.entries(bad)) {
    const { until, provider } = followEtcd(t, { hosts, tls });
    const { trouble } = await until(
      `trouble with ${what}`,
      (claims) => claims.trouble?.startsWith('etcd cannot be read') ?? false,
    );
    assert.equal(provider.claims.state, DcsState.Unknown, `${what}: ${trouble}`);
    await provider.close();
  }
  const plain = followEtcd(t, { hosts });
  await plain.until('trouble without TLS', ({ trouble }) => trouble?.startsWith('etcd cannot be read') ?? false);
});

test('certificates that are none, or half of a pair, are refused at once', async (t) => {
  const { cert, key } = await makeCertificates(t);
  const hosts = [{ host: '127.0.0.1', port: 1 }];
  const rest = { ca: null, serverName: null };
  assert.throws(() => followEtcd(t, { hosts, tls: { ...rest, cert, key: null } }), TypeError);
  assert.throws(() => followEtcd(t, { hosts, tls: { ...rest, cert: 'nonsense', key } }));
});
