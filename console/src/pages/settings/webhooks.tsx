/** The webhooks of the project, and the form that adds one. */

import { useState } from "preact/hooks";
import { ApiError, type Webhook } from "runyard";

import { useAction } from "../../components/action.ts";
import { Empty, Failure, Time, View } from "../../components/basics.tsx";
import { SecretOnce } from "../../components/secret.tsx";
import { visible } from "../../format.ts";
import { usePolled } from "../../polling.ts";
import { href } from "../../router.ts";
import { can, client } from "../../session.ts";

export function Webhooks() {
  const [state, refresh] = usePolled("webhooks", signal => client.value.webhooks.list({ page_size: 25 }, { signal }));
  const [isOpen, setOpen] = useState(false);
  const [created, setCreated] = useState<{ secret?: string }>();
  return (
    <>
      <div class="page-head">
        <h2>Webhooks</h2>
        <span class="spacer" />
        {can("webhooks:write") && <button type="button" onClick={() => setOpen(!isOpen)} aria-expanded={isOpen}>Add a webhook…</button>}
      </div>
      {created && <SecretOnce secret={created.secret} name="signing secret" onDone={() => setCreated(undefined)} />}
      {isOpen && <NewWebhook onCreated={webhook => [setOpen(false), setCreated(webhook), refresh()]} />}
      <View state={state.value} retry={refresh}>
        {({ data }) => data.length ? <WebhookTable webhooks={data} /> : (
          <Empty title="No webhooks.">A webhook sends the events of this project's runs to your own service, signed.</Empty>
        )}
      </View>
    </>
  );
}

export function WebhookState({ webhook }: { webhook: Webhook }) {
  const { enabled, disabled_reason, paused_until, failing_since } = webhook;
  if (!enabled) return <span class="chip failed"><span aria-hidden="true">✕</span> disabled{disabled_reason && `: ${disabled_reason}`}</span>;
  if (paused_until && Date.parse(paused_until) > Date.now()) return <span class="chip wait">◐ paused until <Time at={paused_until} /></span>;
  if (failing_since) return <span class="chip wait">◐ failing since <Time at={failing_since} /></span>;
  return <span class="chip done"><span aria-hidden="true">✓</span> enabled</span>;
}

function WebhookTable({ webhooks }: { webhooks: Webhook[] }) {
  return (
    <div class="scroll">
      <table>
        <thead><tr><th>State</th><th>Address</th><th>Events</th><th class="number">Changed</th></tr></thead>
        <tbody>
          {webhooks.map(webhook => (
            <tr key={webhook.id}>
              <td><WebhookState webhook={webhook} /></td>
              <td><a class="row-link" href={href(`settings/webhooks/${webhook.id}`)}>{visible(webhook.url)}</a></td>
              <td class="meta">{webhook.events.join(", ")}</td>
              <td class="number"><Time at={webhook.updated_at} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const EVENTS = ["*", "run.*", "run.completed", "run.failed", "run.canceled", "run.paused", "approval_request.*", "agent.human_feedback.*", "input_request.expired"];

function NewWebhook({ onCreated }: { onCreated: (created: { secret?: string }) => void }) {
  const { isBusy, error, run } = useAction();
  const details = error instanceof ApiError ? error.details : {};
  function submit(event: Event): void {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const events = fields.getAll("events") as Webhook["events"];
    const body = { url: String(fields.get("url")), description: String(fields.get("description")), ...(events.length && { events }) };
    void run(async () => onCreated(await client.value.webhooks.create(body)));
  }
  return (
    <form class="card" onSubmit={submit} aria-label="Add a webhook">
      <label class="field">
        <span class="label">Address</span>
        <input name="url" type="url" required placeholder="https://hooks.example.com/runyard" aria-invalid={!!details.url} />
        {details.url && <span class="issue">{visible(details.url)}</span>}
      </label>
      <label class="field"><span class="label">Description</span><input name="description" maxLength={256} /></label>
      <fieldset class="inline">
        <legend class="label">Events (without a choice: all)</legend>
        {EVENTS.map(name => <label class="choice" key={name}><input type="checkbox" name="events" value={name} /> <code>{name}</code></label>)}
      </fieldset>
      {!!error && !details.url && <Failure error={error} />}
      <div class="actions"><button class="primary" disabled={isBusy}>Add webhook</button></div>
    </form>
  );
}
