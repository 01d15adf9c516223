import { BackendType, TransactionStatus } from '../../protocol/codes.js';
import type { Analysis } from '../../sql/analysis.js';
import { PinReason } from '../../sql/pin-reason.js';
import type { Attachment } from './attachment.js';
import { EffectRunner } from './effect-runner.js';
import type { FunctionTrust } from './function-trust.js';
import type { Leftovers } from './leftovers.js';
import { isNothing, isRollback } from './outcome.js';
import { Portals } from './portals.js';
import { entryOf } from './prepared.js';
import type { PreparedEntry, PreparedStatements } from './prepared.js';
import { pinned } from './reading.js';
import type { SentSide } from './sent-side.js';

/** What runs where there is no such statement; somebody must have prepared it out of sight. */
const unknownEntry = entryOf(pinned(PinReason.UnknownStatement));

/** What the node has answered, reply by reply: only what surely ran counts, and it counts as long as its transaction lets it. */
export class AnsweredSide {
  readonly runner: EffectRunner;
  readonly #sent: SentSide;
  readonly #prepared: PreparedStatements;
  readonly #leftovers: Leftovers;
  readonly #attachment: Attachment;
  /** What each portal runs, as of the replies. */
  readonly #portals = new Portals<PreparedEntry>(unknownEntry);
  /** An ErrorResponse has come for the oldest unit. */
  #hasFailed = false;

  constructor(
    sent: SentSide,
    prepared: PreparedStatements,
    leftovers: Leftovers,
    attachment: Attachment,
    trust: FunctionTrust,
  ) {
    this.#sent = sent;
    this.#prepared = prepared;
    this.#leftovers = leftovers;
    this.#attachment = attachment;
    this.runner = new EffectRunner(prepared, leftovers, attachment, trust, () => {
      const { oldestUnit } = sent.requests;
      if (oldestUnit !== undefined) oldestUnit.hasCommitted = true;
    });
  }

  /** What the oldest statement runs that has not been answered; null: nothing that is known. */
  get awaited(): Analysis | null {
    const { first } = this.#sent.requests;
    switch (first?.kind) {
      case 'query':
        return first.analysis;
      case 'parse':
        return first.statement.analysis;
      case 'bind':
        return first.statement === null ? null : (this.#prepared.get(first.statement)?.statement.analysis ?? null);
      case 'execute':
        return this.#portals.get(first.portal)?.statement.analysis ?? null;
      default:
        return null;
    }
  }

  /** ParseComplete or CloseComplete came. */
  acknowledged(type: number): void {
    const { requests } = this.#sent;
    // A COPY has ignored a Sync that is still in the list.
    while (requests.first?.kind === 'sync') requests.take();
    this.#passBinds();
    const request = requests.first;
    switch (request?.kind) {
      case 'parse':
        if (type !== BackendType.ParseComplete) return;
        requests.take();
        this.runner.parsed(request.statement, request.facts);
        return;
      case 'close_statement':
      case 'close_portal':
      case 'close_unread':
        if (type !== BackendType.CloseComplete) return;
        requests.take();
        if (request.kind === 'close_statement') this.runner.forget(request.name);
        return;
      default:
    }
  }

  /** CommandComplete (with its tag in the body), EmptyQueryResponse or PortalSuspended came. */
  commandEnded(type: number, buffer: Buffer, start: number, end: number): void {
    const { requests } = this.#sent;
    for (let request = requests.first; request !== undefined; request = requests.first) {
      if (request.kind === 'query') {
        const statement = request.analysis.statements[request.at];
        request.at += 1;
        if (statement === undefined || isNothing(statement)) return;
        this.runner.ran(statement, isRollback(type, buffer, start, end), request.facts);
        return;
      }
      requests.take();
      if (request.kind === 'bind') this.#bound(request.portal, request.statement);
      else if (request.kind === 'execute') {
        const entry = this.#portals.get(request.portal);
        if (entry === null) return;
        for (const statement of entry.statement.analysis.statements) {
          if (isNothing(statement)) continue;
          this.runner.ran(statement, isRollback(type, buffer, start, end), entry.under.reading);
        }
        return;
      }
    }
  }

  /** An ErrorResponse came for the oldest unit. */
  failed(): void {
    this.#hasFailed = true;
    const { requests } = this.#sent;
    const isBehindBind = this.#passBinds();
    const request = requests.first;
    switch (request?.kind) {
      case 'parse':
        if (!isBehindBind) this.runner.parseFailed(request.statement);
        break;
      case 'query':
        this.runner.mayHaveRun(request.analysis.statements[request.at]);
        request.at = Number.MAX_SAFE_INTEGER;
        return;
      case undefined:
      case 'function_call':
        return;
      case 'execute':
        for (const statement of this.#portals.get(request.portal)?.statement.analysis.statements ?? []) {
          this.runner.mayHaveRun(statement);
        }
        break;
      default:
    }
    requests.skipToSync();
  }

  /** ReadyForQuery came: the oldest unit has ended. */
  ended(status: TransactionStatus): void {
    this.#passBinds();
    const last = this.#sent.requests.takeUnit();
    const hasFailed = this.#hasFailed;
    this.#hasFailed = false;
    const isQuery = last?.kind === 'query';
    this.#prepared.unitEnded(isQuery);
    if (isQuery) this.#attachment.forgot('');
    // It may hold a lock though it has failed.
    if (last?.kind === 'function_call') this.#leftovers.pin(PinReason.Procedure);
    if (status === TransactionStatus.Idle) {
      if (hasFailed) this.#leftovers.rollback();
      else this.#leftovers.commit();
      this.#portals.clear();
    }
    this.#leftovers.unitEnded();
    this.#attachment.ended(status);
    if (this.#sent.requests.unitCount === 0) this.#sent.settle(status === TransactionStatus.Idle);
  }

  /** Nothing is owed any more. A Sync that a COPY swallowed has left a unit that nobody will end. */
  settle(): void {
    if (this.#sent.requests.unitCount === 0 && this.#sent.requests.first === undefined) return;
    this.#sent.requests.clear();
    this.#hasFailed = false;
    this.#sent.settle(false);
  }

  /** Everything under way is undone; see SessionState.abandon. */
  undo(isTakenBack: boolean): void {
    this.#sent.requests.clear();
    this.#hasFailed = false;
    this.#sent.settle(true);
    this.#portals.clear();
    if (isTakenBack) {
      this.#prepared.takeBack();
      this.#leftovers.takeBack();
    }
    this.#prepared.unitEnded(false);
    this.#leftovers.rollback();
    this.#leftovers.unitEnded();
  }

  // ----

  /** Binds have no answer of their own that would be heard of: what comes behind one says that it was done. False: there is none. */
  #passBinds(): boolean {
    const { requests } = this.#sent;
    const isThere = requests.first?.kind === 'bind';
    for (let request = requests.first; request?.kind === 'bind'; request = requests.first) {
      this.#bound(request.portal, request.statement);
      requests.take();
    }
    return isThere;
  }

  #bound(portal: string | null, statement: string | null): void {
    const entry = statement === null ? this.#prepared.any() : this.#prepared.find(statement);
    this.#portals.bind(portal, entry ?? unknownEntry);
  }
}
