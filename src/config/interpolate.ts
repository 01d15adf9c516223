/** The variables that `${NAME}` may name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A reference that could not be replaced. */
interface ReferenceProblem {
  /** The beginning of the reference as written, to find it in the source: `${NAME`. */
  readonly written: string;
  readonly message: string;
}

export interface Interpolated {
  readonly text: string;
  readonly problems: readonly ReferenceProblem[];
}

const REFERENCE = /\$\$|\$\{([^}]*)(\}?)/g;
const NAME_AND_DEFAULT = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/;

/**
 * Replaces `${NAME}` by the variable and `${NAME:-default}` by the default where the variable is not set or empty; `$$` stands
 * for `$`. Any other `$` stays as it is, so `$1` in SQL needs no care. What comes out is not read again.
 */
export function interpolate(text: string, env: Environment): Interpolated {
  if (!text.includes('$')) {
    return { text, problems: [] };
  }
  const problems: ReferenceProblem[] = [];
  const replaced = text.replace(REFERENCE, (written: string, inner: string | undefined, close: string | undefined) => {
    if (inner === undefined) {
      return '$';
    }
    const result = close === '' ? null : readReference(inner, env);
    if (result === null) {
      const message =
        '"${" begins a reference to the environment: write ${NAME} or ${NAME:-default}, or "$${" for the text itself';
      problems.push({ written: '${', message });
      return written;
    }
    if (result.value === undefined) {
      const message = `the environment variable ${result.name} is not set; \${${result.name}:-default} would give it a default`;
      problems.push({ written: `\${${result.name}`, message });
      return written;
    }
    return result.value;
  });
  return { text: replaced, problems };
}

function readReference(
  inner: string,
  env: Environment,
): { readonly name: string; readonly value: string | undefined } | null {
  const match = NAME_AND_DEFAULT.exec(inner);
  const name = match?.[1];
  if (match === null || name === undefined) {
    return null;
  }
  const value = Object.hasOwn(env, name) ? env[name] : undefined;
  const fallback = match[2];
  return { name, value: fallback !== undefined && (value === undefined || value === '') ? fallback : value };
}
