// Write everything once, and print what there is then: lost_responses.mjs URL KEY
import { Runyard } from "../../../clients/typescript/dist/index.js";

const [url, key] = process.argv.slice(2);
const ry = new Runyard({ url, key });
const collect = async list => {
  const items = [];
  for await (const item of list) items.push(item);
  return items;
};

const text = new Blob(["hello"], { type: "text/plain" });
const ticket = {
  ticket_subject: "Charged twice for June invoice",
  ticket_body: "Hi, my card was charged twice this month. Order #4812.",
};
const run = await ry.runs.create(ticket, { files: [{ name: "note.txt", data: text }] });
await ry.runs.approve(run.id);
const output = await ry.runs.result(run.id);
const canceled = await ry.runs.create(ticket);
await ry.runs.cancel(canceled.id);

const chat = ry.threads.chat({ title: "June invoice" });
for await (const event of chat.send("Please refund order 4812.")) {
  if (event.type === "approval_request.created") await event.refuse("Not this one.");
}
const webhook = await ry.webhooks.create({ url: "https://example.com/hook" });
await ry.webhooks.rotateSecret(webhook.id);

const events = await collect(ry.runs.events(run.id));
console.log(
  JSON.stringify({
    output,
    runs: (await collect(ry.runs.list())).map(({ status }) => status).sort(),
    answers: events.filter(({ type }) => type === "approval_request.resolved").length,
    threads: (await collect(ry.threads.list())).map(({ title }) => title),
    messages: (await collect(ry.threads.messages(chat.threadId))).map(({ role }) => role),
    webhooks: (await collect(ry.webhooks.list())).length,
  }),
);
