/** Beginnings shorter than this say too little. */
const BEGINNING_LENGTH_MIN = 3;

/**
 * The candidate that `word` was likely meant to be: a misspelling or a beginning of it; null when none is near.
 * @param distanceMax with it, only misspellings of so many letters count
 */
export function suggest(word: string, candidates: readonly string[], distanceMax?: number): string | null {
  const plain = plainForm(word);
  let best: string | null = null;
  let bestDistance = (distanceMax ?? Math.max(1, Math.floor(plain.length / 3))) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(plain, plainForm(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  if (best !== null || distanceMax !== undefined) {
    return best;
  }
  return candidates.find((candidate) => sharesBeginning(plain, plainForm(candidate))) ?? null;
}

function sharesBeginning(a: string, b: string): boolean {
  return Math.min(a.length, b.length) >= BEGINNING_LENGTH_MIN && (a.startsWith(b) || b.startsWith(a));
}

/** Words longer than this are not compared: the table below grows with the product of both lengths. */
const COMPARED_LENGTH_MAX = 64;

/** `maxLag`, `max-lag` and `MAX_LAG` are all `max_lag`. */
function plainForm(word: string): string {
  return word
    .slice(0, COMPARED_LENGTH_MAX)
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toLowerCase();
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1];
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current.push(
        Math.min(
          (last[column] ?? 0) + 1,
          (current[column - 1] ?? 0) + 1,
          (last[column - 1] ?? 0) + (same ? 0 : 1),
          swapped ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length] ?? 0;
}
