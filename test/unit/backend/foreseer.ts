import type { BackendCredentials } from '../../../src/auth/credentials.js';
import type { Foresight } from '../../../src/backend/pool/ahead.js';
import type { PrimaryProof } from '../../../src/backend/primary-proof.js';

/** Tells a pool what the test says. */
export class Foreseer implements Foresight {
  known: BackendCredentials | null;
  isThere = true;
  left: number | null = null;
  proof: PrimaryProof | null = null;

  constructor(known: BackendCredentials) {
    this.known = known;
  }

  place(): ReturnType<Foresight['place']> {
    return this.isThere ? { host: '127.0.0.1', port: 5431, proof: this.proof } : null;
  }

  credentials(): BackendCredentials | null {
    return this.known;
  }

  room(): number | null {
    return this.left;
  }
}
