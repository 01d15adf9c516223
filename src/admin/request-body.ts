import type { IncomingMessage } from 'node:http';

/** Longest body that is read; what is asked here fits into a fraction of it. */
export const BODY_BYTES_MAX = 4096;

export type Body = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly problem: string };

/** Reads a body that is JSON. Resolves to a problem, never throws; one that breaks off is a problem too. */
export function readJson(request: IncomingMessage): Promise<Body> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
      else resolve({ ok: false, problem: `the body is longer than ${BODY_BYTES_MAX} bytes` });
    });
    request.on('end', () => resolve(parse(Buffer.concat(chunks).toString('utf8'))));
    request.on('error', () => resolve({ ok: false, problem: 'the body broke off' }));
    request.on('close', () => resolve({ ok: false, problem: 'the body broke off' }));
  });
}

function parse(text: string): Body {
  try {
    return { ok: true, value: JSON.parse(text) as unknown };
  } catch {
    return { ok: false, problem: 'the body is no JSON' };
  }
}
