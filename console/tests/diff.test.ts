import assert from "node:assert/strict";
import { test } from "node:test";

import type { Row } from "../src/log/timeline.ts";
import { changesOf, contentOf, pairsOf } from "../src/pages/run/diff.ts";

function row(kind: Row["kind"], title: string, text = ""): Row {
  return { key: title, kind, title, look: "done", started: 0, summary: "", sequence: 1, text };
}

test("steps are paired in their order, and a step of one run has no partner", () => {
  const left = [row("turn", "turn 1"), row("call", "lookup"), row("turn", "turn 2")];
  const right = [row("turn", "turn 1"), row("call", "refund"), row("note", "run.retrying"), row("turn", "turn 2")];
  const titles = pairsOf(left, right).map(({ left, right }) => [left?.title, right?.title]);
  assert.deepEqual(titles, [["turn 1", "turn 1"], ["lookup", undefined], [undefined, "refund"], ["turn 2", "turn 2"]]);
});

test("changes of a text join to both texts", () => {
  const [left, right] = ["The charge should be 49 now.", "The second charge is 45 now."];
  const changes = changesOf(left, right);
  const side = (without: string) => changes.filter(({ kind }) => kind !== without).map(({ text }) => text).join("");
  assert.equal(side("added"), left);
  assert.equal(side("removed"), right);
  assert.ok(changes.some(({ kind, text }) => kind === "same" && text.includes("The")));
});

test("texts that are too long to compare are one change each", () => {
  const [left, right] = ["a ".repeat(3000), "b ".repeat(3000)];
  assert.deepEqual(changesOf(left, right).map(({ kind }) => kind), ["removed", "added"]);
});

test("equal and empty texts have no changes", () => {
  assert.deepEqual(changesOf("same", "same"), [{ kind: "same", text: "same" }]);
  assert.deepEqual(changesOf("", ""), []);
});

test("the content of a call is its arguments and its result", () => {
  const call = { ...row("call", "refund"), input: { amount: 45 }, result: "paid" };
  assert.equal(contentOf(call), '{\n "amount": 45\n}\npaid');
});
