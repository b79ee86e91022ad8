// An agent in JavaScript without a library: protocol 1 of docs/reference/own-code-protocol.md.
// Its operations are unsafe steps, input requests and responses of a model.
import { createHash } from "node:crypto";

const canonical = (value) =>
  Array.isArray(value)
    ? `[${value.map(canonical).join(",")}]`
    : value !== null && typeof value === "object"
      ? `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`
      : JSON.stringify(value);

const digestOf = (name, args) => createHash("sha256").update(canonical([name, args])).digest("hex");

const durable = (agent) => async (request) => {
  const journal = new Map((request.journal ?? []).map((entry) => [entry.key, entry]));
  const mayRun = new Set(request.may_run ?? []);
  const response = { protocol: 1, status: "waiting", done: [], ops: [], emits: [] };
  const counts = {};
  let steps = 0;

  const recorded = (op, name, args) => {
    counts[`${op}:${name}`] = (counts[`${op}:${name}`] ?? 0) + 1;
    const [key, digest] = [`${op}:${name}#${counts[`${op}:${name}`]}`, digestOf(name, args)];
    const entry = journal.get(key);
    if (entry && entry.digest !== digest)
      throw Object.assign(new Error(`${key} has other arguments than the log`), { code: "code_changed" });
    if (entry?.error) throw Object.assign(new Error(entry.error.message), { code: entry.error.code });
    return { key, digest, entry };
  };
  const operation = async (op, name, args, effect) => {
    const { key, digest, entry } = recorded(op, name, args);
    if (entry) return entry.value;
    response.ops.push({ key, op, name, digest, args, ...(effect && { effect }) });
    return new Promise(() => {}); // The next invocation has its result.
  };
  const step = async (name, run, ...args) => {
    const { key, digest, entry } = recorded("step", name, args);
    if (entry) return entry.value;
    if (!mayRun.has(key)) {
      response.ops.push({ key, op: "step", name, digest, args: {}, effect: "unsafe" });
      return new Promise(() => {});
    }
    steps += 1;
    const value = await run(...args);
    steps -= 1;
    response.done.push({ key, name, digest, effect: "unsafe", value });
    return value;
  };
  const ctx = {
    step,
    ask: (prompt) => operation("ask", "ask", { prompt }),
    callModel: (content) => operation("model", "model", { messages: [{ role: "user", content }] }),
  };
  const end = agent(ctx, request.run.input).then(
    (output) => Object.assign(response, { status: "completed", output, ops: [] }),
    (error) => Object.assign(response, { status: "failed", error: { code: error.code ?? "agent_error", message: error.message } }),
  );
  const idle = async () => {
    do await new Promise((resolve) => setTimeout(resolve, 5));
    while (steps > 0 || (response.ops.length === 0 && response.status === "waiting"));
    return response;
  };
  return Promise.race([end, idle()]);
};

export const handler = durable(async (ctx, input) => {
  const summary = await ctx.callModel(`Summarize order ${input.order}.`);
  const reason = await ctx.ask("Why should it be refunded?");
  const receipt = await ctx.step("refund", async (order) => `refunded ${order}`, input.order);
  return { summary: summary.message.content, reason, receipt };
});
