// An agent in JavaScript without a library: protocol 1 of docs/reference/own-code-protocol.md.
// Its operations are unsafe steps, input requests and responses of a model.
import { createHash } from "node:crypto";
import { setTimeout } from "node:timers/promises";

const sortKeys = (_, value) =>
  value && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, value[key]]))
    : value;
const digestOf = (name, args) =>
  createHash("sha256").update(JSON.stringify([name, args], sortKeys)).digest("hex");
const failure = (code, message) => Object.assign(new Error(message), { code });

const durable = (agent) => async (request) => {
  const entries = request.journal ?? (await (await fetch(request.journal_url)).json());
  const journal = new Map(entries.map((entry) => [entry.key, entry]));
  const response = { protocol: 1, status: "waiting", done: [], ops: [], emits: [] };
  const counts = new Map();
  let running = 0;

  const operation = async (op, name, args, run) => {
    const nth = (counts.get(`${op}:${name}`) ?? 0) + 1;
    counts.set(`${op}:${name}`, nth);
    const [key, digest] = [`${op}:${name}#${nth}`, digestOf(name, args)];
    const entry = journal.get(key);
    if (entry && entry.digest !== digest)
      throw failure("code_changed", `${key} has digest ${digest}, recorded is ${entry.digest}`);
    if (entry?.error) throw failure(entry.error.code, entry.error.message);
    if (entry) return entry.value;
    if (!request.may_run.includes(key)) {
      response.ops.push({ key, op, name, digest, args: run ? {} : args });
      return new Promise(() => {}); // The next invocation has the result.
    }
    running += 1;
    const value = await run();
    running -= 1;
    response.done.push({ key, name, digest, effect: "unsafe", value });
    return value;
  };
  const ctx = {
    step: (name, run, ...args) => operation("step", name, args, () => run(...args)),
    ask: (prompt) => operation("ask", "ask", { prompt }),
    callModel: (content) => operation("model", "model", { messages: [{ role: "user", content }] }),
  };
  agent(ctx, request.run.input).then(
    (output) => Object.assign(response, { status: "completed", output, ops: [] }),
    ({ code = "agent_error", message }) =>
      Object.assign(response, { status: "failed", error: { code, message }, ops: [] }),
  );
  do await setTimeout(5); // Other branches can ask for something in the same invocation.
  while (response.status === "waiting" && (running || !response.ops.length));
  return response;
};

export const handler = durable(async (ctx, input) => {
  const summary = await ctx.callModel(`Summarize order ${input.order}.`);
  const reason = await ctx.ask("Why should it be refunded?");
  const receipt = await ctx.step("refund", async (order) => `refunded ${order}`, input.order);
  return { summary: summary.message.content, reason, receipt };
});
