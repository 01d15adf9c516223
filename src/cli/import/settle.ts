import { ConfigError, formatProblem } from '../../config/config-error.js';
import type { ConfigProblem } from '../../config/config-error.js';
import type { Environment } from '../../config/interpolate.js';
import { parseConfig } from '../../config/load.js';
import { LISTS } from './draft.js';
import type { Draft } from './draft.js';
import { Verdict } from './finding.js';
import type { Finding } from './finding.js';
import { renderDraft } from './render.js';
import type { Work } from './work.js';

/** Each round takes at least one line out. */
const ROUNDS_MAX = 1000;

/** Has the new file read by the loader as if every place were filled in, and takes out what it refuses, telling of it. */
export function settle({ draft, tell }: Work): void {
  // A path that is to be filled in names a file that can only be looked at then.
  const putBack = draft
    .keys()
    .filter((key) => isOpenPath(draft, key))
    .map((key) => draft.remove(key));
  settleRest(draft, putBack.length > 0, tell);
  for (const each of putBack) each();
}

function isOpenPath(draft: Draft, key: string): boolean {
  const value = draft.get(key)?.value;
  return key.endsWith('_file') && typeof value === 'object' && 'reference' in value;
}

function settleRest(draft: Draft, lacksUsers: boolean, tell: Work['tell']): void {
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const { problems, warnings } = read(renderDraft(draft, []));
    if (problems.length === 0) {
      for (const { path, message } of warnings) {
        if (!(lacksUsers && path === 'auth'))
          tell({ verdict: Verdict.Differs, place: null, subject: path, advice: message });
      }
      return;
    }
    const taken =
      problems.map((problem) => take(draft, problem)).find((finding) => finding !== null) ??
      problems.map((problem) => takeCulprit(draft, problem)).find((finding) => finding !== null);
    if (taken === undefined || taken === null) {
      for (const problem of problems) {
        tell({ verdict: Verdict.Broken, place: null, subject: 'the new file', advice: formatProblem(problem) });
      }
      return;
    }
    tell(taken);
  }
}

function read(text: string): {
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
} {
  try {
    const { warnings } = parseConfig(text, { fileName: 'switchyard.yaml', env: filled(text), folder: '/' });
    return { problems: [], warnings };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { problems: error.problems, warnings: [] };
  }
}

/** Every variable that the text names, with a value that does as a port, a host and a text, and is nobody else's. */
function filled(text: string): Environment {
  const names = new Set([...text.matchAll(/\$\{([A-Za-z_]\w*)\}/g)].map((match) => match[1] ?? ''));
  return Object.fromEntries([...names].map((name, index) => [name, String(20_000 + index)]));
}

/** What is refused is a default: a value of the same section that was written does not go with it. */
function takeCulprit(draft: Draft, { path, message }: ConfigProblem): Finding | null {
  const [section = ''] = path.split('.');
  for (const key of draft.keys().filter((each) => each.startsWith(`${section}.`) && !draft.isList(each))) {
    const line = draft.get(key);
    if (line === null) continue;
    const putBack = draft.remove(key);
    if (!read(renderDraft(draft, [])).problems.some((problem) => problem.path === path)) {
      return leftOut(key, `${path} ${message}`, line.from);
    }
    putBack();
  }
  return null;
}

function leftOut(subject: string, message: string, from: string): Finding {
  return { verdict: Verdict.Broken, place: null, subject, advice: `${message} (${from}); it is left out` };
}

function take(draft: Draft, { path, message }: ConfigProblem): Finding | null {
  for (const list of LISTS) {
    const index = path.startsWith(`${list}[`) ? Number.parseInt(path.slice(list.length + 1), 10) : Number.NaN;
    const entry = draft.entries(list)[index];
    if (entry === undefined) continue;
    draft.removeEntry(list, index);
    return leftOut(path, message, entry[0]?.from ?? '');
  }
  const line = draft.get(path);
  if (line === null) return null;
  draft.remove(path);
  return leftOut(path, message, line.from);
}
