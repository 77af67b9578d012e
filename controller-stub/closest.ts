/** More edits than this are no typing error. */
const MOST_EDITS = 3;

/** The candidate that a mistyped name most likely means; undefined where none is near. */
export function closest(name: string, candidates: readonly string[]): string | undefined {
  const near = candidates
    .map((candidate) => ({ candidate, edits: editsBetween(name, candidate) }))
    .filter(({ candidate, edits }) => edits <= Math.min(MOST_EDITS, Math.ceil(candidate.length / 2)));
  return near.sort((x, y) => x.edits - y.edits || (x.candidate < y.candidate ? -1 : 1))[0]?.candidate;
}

/** "; did you mean X?" for the end of a sentence, or nothing. */
export function suggestion(name: string, candidates: readonly string[]): string {
  const found = closest(name, candidates);
  return found === undefined ? "" : `; did you mean ${found}?`;
}

/** Levenshtein's distance. */
function editsBetween(x: string, y: string): number {
  let row = Array.from({ length: y.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...x].entries()) {
    const next = [i + 1];
    for (let j = 0; j < y.length; j++) {
      const replaced = (row[j] as number) + (letter === y[j] ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] as number) + 1, (next[j] as number) + 1));
    }
    row = next;
  }
  return row[y.length] as number;
}
