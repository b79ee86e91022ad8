import assert from "node:assert/strict";
import { test } from "node:test";

import type { UsageRow } from "runyard";

import { csvOf, daysBetween, totalOf, totalsOf } from "../src/pages/usage/rows.ts";

function row(fields: Partial<UsageRow>): UsageRow {
  return {
    day: "2026-06-10", runs: 1, completed: 1, failed: 0, canceled: 0, input_tokens: 10, cached_input_tokens: 0,
    cache_write_tokens: 0, output_tokens: 5, cost_usd: 0.5, runs_without_cost: 0, ...fields,
  };
}

test("an unknown cost stays unknown, and a known one is the sum", () => {
  assert.equal(totalOf([row({ cost_usd: null, runs_without_cost: 1 })]).cost, null);
  const total = totalOf([row({}), row({ cost_usd: null, runs_without_cost: 2 }), row({ cost_usd: 0 })]);
  assert.deepEqual([total.cost, total.unknown, total.runs, total.input], [0.5, 2, 3, 30]);
});

test("the most expensive name is first, and days are in their order", () => {
  const rows = [row({ model: "a" }), row({ model: "b", cost_usd: 3 }), row({ day: "2026-06-09" })];
  assert.equal(totalsOf(rows, "model")[0]!.name, "b");
  assert.deepEqual(totalsOf(rows, "day").map(({ name, runs }) => [name, runs]), [["2026-06-09", 1], ["2026-06-10", 2]]);
});

test("each day of the time has a bar", () => {
  assert.deepEqual(daysBetween("2026-02-27", "2026-03-01"), ["2026-02-27", "2026-02-28", "2026-03-01"]);
});

test("a CSV has quotes where it needs them, and no formula of a user", () => {
  const lines = csvOf([row({ user_id: '=1+"2"' }), row({ user_id: "anna, b", cost_usd: null })]).split("\r\n");
  assert.equal(lines[0]!.slice(0, 16), "day,user_id,runs");
  assert.ok(lines[1]!.startsWith(`2026-06-10,"'=1+""2""",1`));
  assert.ok(lines[2]!.includes('"anna, b"') && lines[2]!.endsWith(",,0"));
});
