/** More edits than this are no typing error. */
const MOST_EDITS = 2;

/** "; did you mean X?" for the end of a sentence about a mistyped word, or "" if none of the candidates is near. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const near = candidates
    .map((candidate) => ({ candidate, edits: editsBetween(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, edits }) => edits <= Math.min(MOST_EDITS, candidate.length / 2))
    .sort((x, y) => x.edits - y.edits || (x.candidate < y.candidate ? -1 : 1));
  return near[0] === undefined ? "" : `; did you mean ${near[0].candidate}?`;
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
