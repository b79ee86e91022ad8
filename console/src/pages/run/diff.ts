/** Compare two runs: their steps in pairs, and the changes between two texts. */

import type { Row } from "../../log/timeline.ts";

/** what two runs did at the same position; one is missing if only the other run did it. */
export interface Pair {
  left?: Row;
  right?: Row;
}

export interface Change {
  kind: "same" | "removed" | "added";
  text: string;
}

// Above this size the table of all pairs takes too long: each text is one change.
const MAX_CELLS = 1_000_000;

type Sides<Item> = [left: Item | undefined, right: Item | undefined];

/** Return the pairs of the longest common subsequence, and between them what only one side has. */
function aligned<Item>(left: Item[], right: Item[], isSame: (a: Item, b: Item) => boolean): Sides<Item>[] {
  if (left.length * right.length > MAX_CELLS) {
    return [...left.map((item): Sides<Item> => [item, undefined]), ...right.map((item): Sides<Item> => [undefined, item])];
  }
  const width = right.length + 1;
  const lengths = new Uint32Array((left.length + 1) * width);
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      lengths[i * width + j] = isSame(left[i]!, right[j]!)
        ? lengths[(i + 1) * width + j + 1]! + 1
        : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!);
    }
  }
  const pairs: Sides<Item>[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && isSame(left[i]!, right[j]!)) pairs.push([left[i++], right[j++]]);
    else if (j >= right.length || (i < left.length && lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!)) pairs.push([left[i++], undefined]);
    else pairs.push([undefined, right[j++]]);
  }
  return pairs;
}

/** Return the steps of both runs in pairs: steps of the same kind and name, in their order. */
export function pairsOf(left: Row[], right: Row[]): Pair[] {
  const steps = (rows: Row[]) => rows.filter(({ kind }) => kind !== "note");
  const isSame = (a: Row, b: Row) => a.kind === b.kind && (a.kind === "turn" || a.title === b.title);
  return aligned(steps(left), steps(right), isSame).map(([one, other]) => ({
    ...(one && { left: one }),
    ...(other && { right: other }),
  }));
}

/** Return the words that both texts have, and those of one of them. */
export function changesOf(left: string, right: string): Change[] {
  const words = (text: string) => text.match(/\s+|[^\s]+/g) ?? [];
  const changes: Change[] = [];
  for (const [one, other] of aligned(words(left), words(right), (a, b) => a === b)) {
    const kind = one === undefined ? "added" : other === undefined ? "removed" : "same";
    const last = changes.at(-1);
    const text = one ?? other ?? "";
    if (last?.kind === kind) last.text += text;
    else changes.push({ kind, text });
  }
  return changes;
}

/** Return what a step said or did as a text: its text, its arguments and its result. */
export function contentOf({ text, input, result, error, summary }: Row): string {
  const parts = [text, input, result, error && `${error.code}: ${error.message}`]
    .filter(part => part !== undefined && part !== "")
    .map(part => (typeof part === "string" ? part : JSON.stringify(part, null, 1)));
  return parts.join("\n") || summary;
}
