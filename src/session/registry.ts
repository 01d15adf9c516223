import type { NodeName } from '../util/brand.js';
import { isSameKey } from './cancel-key.js';
import type { CloseReason } from './close-reason.js';
import type { Session } from './session.js';

/** All sessions of this process: who they are, where they are, and what their cancel keys are. */
export class SessionRegistry {
  readonly #sessions = new Map<number, Session>();
  readonly #byProcessId = new Map<number, Session>();
  readonly #byOwner = new Map<string, Set<Session>>();
  readonly #loads = new Map<NodeName, number>();
  /** Sessions that share their backends, by the standby that they go back to. */
  readonly #residents = new Map<NodeName, number>();
  /** Split sessions with something under way, by node. */
  readonly #working = new Map<NodeName, number>();
  readonly #onRemoved: (session: Session, reason: CloseReason) => void;
  #nextId = 1;

  /** `onRemoved` is called behind every session that ends. */
  constructor(onRemoved: (session: Session, reason: CloseReason) => void) {
    this.#onRemoved = onRemoved;
  }

  get size(): number {
    return this.#sessions.size;
  }

  all(): IterableIterator<Session> {
    return this.#sessions.values();
  }

  nextId(): number {
    return this.#nextId++;
  }

  isProcessIdTaken(processId: number): boolean {
    return this.#byProcessId.has(processId);
  }

  add(session: Session): void {
    this.#sessions.set(session.id, session);
    this.#byProcessId.set(session.identity.cancelKey.processId, session);
    const owner = ownerOf(session.identity.user, session.identity.database);
    const others = this.#byOwner.get(owner);
    if (others === undefined) this.#byOwner.set(owner, new Set([session]));
    else others.add(session);
  }

  remove(session: Session, reason: CloseReason): void {
    if (!this.#sessions.delete(session.id)) return;
    this.#byProcessId.delete(session.identity.cancelKey.processId);
    const owner = ownerOf(session.identity.user, session.identity.database);
    const others = this.#byOwner.get(owner);
    others?.delete(session);
    if (others?.size === 0) this.#byOwner.delete(owner);
    this.#onRemoved(session, reason);
  }

  /** One of the sessions of this user in this database; null: there is none. */
  anyOf(user: string, database: string): Session | null {
    const [session] = this.#byOwner.get(ownerOf(user, database)) ?? [];
    return session ?? null;
  }

  attached(node: NodeName): void {
    this.#loads.set(node, this.load(node) + 1);
  }

  detached(node: NodeName): void {
    this.#loads.set(node, Math.max(0, this.load(node) - 1));
  }

  /** How many sessions are attached to the node. */
  load(node: NodeName): number {
    return this.#loads.get(node) ?? 0;
  }

  /** A session that shares its backends goes back to this standby with its next read. */
  settled(node: NodeName): void {
    this.#residents.set(node, this.residents(node) + 1);
  }

  /** It does not any more. */
  unsettled(node: NodeName): void {
    this.#residents.set(node, Math.max(0, this.residents(node) - 1));
  }

  /** How many sessions that share their backends go back to this standby, attached to it at the moment or not. */
  residents(node: NodeName): number {
    return this.#residents.get(node) ?? 0;
  }

  workBegins(node: NodeName): void {
    this.#working.set(node, this.outstanding(node) + 1);
  }

  workEnds(node: NodeName): void {
    this.#working.set(node, Math.max(0, this.outstanding(node) - 1));
  }

  /** How many split sessions have something under way on the node. */
  outstanding(node: NodeName): number {
    return this.#working.get(node) ?? 0;
  }

  /** The session that was given this key; null when there is none. Takes as long for a wrong key as for a right one. */
  findByCancelKey(processId: number, key: Buffer): Session | null {
    const session = this.#byProcessId.get(processId);
    if (session === undefined) return null;
    return isSameKey(session.identity.cancelKey.key, key) ? session : null;
  }

  /** Lets every session think again about where it is. */
  reconsider(): void {
    for (const session of [...this.#sessions.values()]) session.reconsider();
  }
}

function ownerOf(user: string, database: string): string {
  return `${user}\0${database}`;
}
