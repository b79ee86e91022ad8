import assert from "node:assert/strict";
import { test } from "node:test";

import type { Event } from "runyard";

import { Axis, RunLog } from "../src/log/timeline.ts";

const START = Date.parse("2026-06-10T10:00:00.000Z");

/** Return the log of these events, one each second. */
function logOf(...events: [type: string, data?: object][]): RunLog {
  const log = new RunLog();
  events.forEach(([type, data = {}], index) => {
    const timestamp = new Date(START + index * 1000).toISOString();
    log.add({ type, data, sequence: index + 1, timestamp } as unknown as Event);
  });
  return log;
}

test("deltas and their message are one row", () => {
  const log = logOf(
    ["run.started"],
    ["agent.reasoning.delta", { iteration: 1, delta: "Hm" }],
    ["agent.message.delta", { iteration: 1, delta: "The " }],
    ["agent.message.delta", { iteration: 1, delta: "charge" }],
    ["agent.message.completed", { iteration: 1, content: "The charge" }],
  );
  assert.equal(log.rows.length, 1);
  const [turn] = log.rows;
  assert.deepEqual([turn!.thinking, turn!.text, turn!.look], ["Hm", "The charge", "done"]);
});

test("an unknown type is a row with its data", () => {
  const [row] = logOf(["run.teleported", { message: "to Mars" }]).rows;
  assert.deepEqual([row!.kind, row!.title, row!.summary], ["note", "run.teleported", "to Mars"]);
});

test("a failed call ends with its error", () => {
  const log = logOf(
    ["agent.tool_call.started", { id: "a", tool: { name: "refund" }, input: { amount: 49 } }],
    ["agent.tool_call.failed", { id: "a", tool: { name: "refund" }, error: { code: "http_503", message: "busy" } }],
  );
  assert.deepEqual([log.rows.length, log.rows[0]!.look, log.rows[0]!.error!.code], [1, "failed", "http_503"]);
});

test("a wait takes no time on the axis, and its answer has what was sent", () => {
  const log = logOf(
    ["run.started"],
    ["approval_request.created", { id: "q", tool: { name: "refund" }, prompt: "Refund 49?", params: { amount: 49 } }],
    ["run.paused", { reason: "awaiting_input" }],
    ["approval_request.resolved", { id: "q", is_approved: true, effective_params: { amount: 45 }, answered_by: "Anna" }],
    ["run.resumed"],
    ["run.completed", { output: { answer: 1 } }],
  );
  assert.deepEqual([log.open, log.status, log.isEnded], [[], "completed", true]);
  assert.deepEqual(log.rows[0]!.request!.effective, { amount: 45 });
  const axis = new Axis(log, START + 100_000);
  assert.deepEqual([axis.work, axis.waited, axis.position(START + 4000)], [3000, 2000, 2 / 3]);
});

test("an open question is open until it expires", () => {
  const ask: [string, object] = ["approval_request.created", { id: "q", prompt: "Refund?", params: {} }];
  assert.equal(logOf(ask).open.length, 1);
  const expired = logOf(ask, ["input_request.expired", { id: "q", on_expiry: "deny" }]);
  assert.deepEqual([expired.open.length, expired.rows[0]!.request!.state], [0, "expired"]);
});

test("the end of a run closes what was open", () => {
  const log = logOf(["agent.step.started", { key: "s", name: "fetch" }], ["run.canceled"]);
  assert.deepEqual([log.status, log.rows[0]!.look], ["canceled", "canceled"]);
});
