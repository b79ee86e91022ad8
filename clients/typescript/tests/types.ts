// Types, checked by `npm run check`: each `@ts-expect-error` fails if its line has no error.
import { Runyard, type Event, type EventOfType, type Run, type UnknownEvent } from "runyard";

declare const ry: Runyard;
declare const event: Event;
declare const run: Run;
const text = (value: string) => value;

ry.runs.list({ status: ["failed", "awaiting_input"] });
// @ts-expect-error: the status does not exist.
ry.runs.list({ status: ["ended"] });
// @ts-expect-error: the filter does not exist.
ry.runs.list({ state: "failed" });
// @ts-expect-error: it is `canceled`.
if (run.status === "cancelled") text(run.id);
// @ts-expect-error: a run without an input.
ry.runs.create();
// @ts-expect-error: `wait: false` replaces it.
ry.runs.create({}, { background: true });
ry.runs.create({ text: "hi" }, { user_id: "customer-7421", wait: false });
// @ts-expect-error: an answer names its input request.
ry.runs.input(run.id, { type: "human_feedback", data: { feedback: "yes" } });
// @ts-expect-error: the event does not exist.
ry.webhooks.create({ url: "https://example.com", events: ["run.finished"] });
// @ts-expect-error: an array is no single object.
ry.threads.list().then(page => page.data);
ry.runs.list().then(page => page.pagination.total_count.toFixed());

switch (event.type) {
  case "agent.response.delta":
    text(event.data.delta);
    break;
  case "approval_request.created":
    void event.approve({ amount: 45 });
    text(event.data.prompt);
    break;
  case "agent.human_feedback.requested":
    void event.answer("yes");
    // @ts-expect-error: human feedback is not approved.
    void event.approve();
    break;
  case "run.failed":
    text(event.data.error.code);
    // @ts-expect-error: a failed run has no output.
    text(event.data.output);
    break;
  // @ts-expect-error: the type does not exist.
  case "run.finished":
    break;
  default:
    text(event.type);
}

/** The rest of a switch over all known types is an unknown event, whose data is unknown. */
export function rest(other: Exclude<Event, EventOfType<Exclude<Event, UnknownEvent>["type"]>>) {
  const unknown: UnknownEvent = other;
  // @ts-expect-error: the data is unknown.
  text(unknown.data.delta);
}
