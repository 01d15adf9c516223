/** One thing about a configuration file, with its place. */
export interface ConfigProblem {
  readonly fileName: string;
  /** Counted from 1; null when it is about the file as a whole (it cannot be read). */
  readonly line: number | null;
  readonly column: number | null;
  /** Where in the tree: `listeners[1].route`; empty when it is about the file as a whole. */
  readonly path: string;
  /** What is wrong and what was likely meant. Holds no secret. */
  readonly message: string;
}

/** One line for people: `switchyard.yaml:12:5: listeners[1].route: ...`. */
export function formatProblem(problem: ConfigProblem): string {
  const place = problem.line === null ? problem.fileName : `${problem.fileName}:${problem.line}:${problem.column ?? 1}`;
  return problem.path === '' ? `${place}: ${problem.message}` : `${place}: ${problem.path}: ${problem.message}`;
}

/** A configuration that cannot be used, with everything that was found wrong with it. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }

  /** Every problem on a line of its own, without the name of the class. */
  override toString(): string {
    return this.message;
  }
}
