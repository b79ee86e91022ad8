/** One webhook: its state, what can be done, and its deliveries. */

import { useRef, useState } from "preact/hooks";
import type { Delivery, Webhook } from "runyard";

import { useAction } from "../../components/action.ts";
import { Empty, Failure, Time, View } from "../../components/basics.tsx";
import { SecretOnce } from "../../components/secret.tsx";
import { duration, visible } from "../../format.ts";
import { usePolled } from "../../polling.ts";
import { href } from "../../router.ts";
import { can, client } from "../../session.ts";
import { WebhookState } from "./webhooks.tsx";

export function WebhookPage({ id }: { id: string }) {
  const [state, refresh] = usePolled(`webhook ${id}`, signal => client.value.webhooks.get(id, { signal }));
  const [deliveries, refreshDeliveries] = usePolled(
    `deliveries ${id}`,
    signal => client.value.webhooks.deliveries(id, { page_size: 50 }, { signal }),
    ({ data }) => data.some(({ state }) => state === "pending"),
  );
  return (
    <>
      <p class="meta"><a href={href("settings")}>‹ Settings</a></p>
      <View state={state.value} retry={refresh}>
        {webhook => (
          <>
            <header class="page-head">
              <h1 class="address">{visible(webhook.url)}</h1>
              <WebhookState webhook={webhook} />
            </header>
            {webhook.description && <p dir="auto">{visible(webhook.description)}</p>}
            <p class="meta">events: {webhook.events.join(", ")}</p>
            {can("webhooks:write") && <Changes webhook={webhook} onChanged={() => [refresh(), refreshDeliveries()]} />}
          </>
        )}
      </View>
      <h2>Deliveries of the last 30 days</h2>
      <View state={deliveries.value} retry={refreshDeliveries}>
        {({ data }) => data.length
          ? <ol class="log">{data.map(each => <DeliveryRow key={each.id} delivery={each} onSent={refreshDeliveries} />)}</ol>
          : <Empty title="No deliveries yet.">Send a ping, or wait for an event.</Empty>}
      </View>
    </>
  );
}

function Changes({ webhook: { id, enabled }, onChanged }: { webhook: Webhook; onChanged: () => void }) {
  const { isBusy, error, run } = useAction();
  const [rotated, setRotated] = useState<{ secret?: string }>();
  const confirmation = useRef<HTMLDialogElement>(null);
  const { webhooks } = client.value;
  const change = (action: () => Promise<unknown>) => run(async () => {
    await action();
    onChanged();
  });
  const remove = () => run(async () => {
    await webhooks.delete(id);
    location.hash = href("settings");
  });
  return (
    <>
      <div class="actions start">
        <button type="button" disabled={isBusy || !enabled} onClick={() => change(() => webhooks.test(id))}>Send a ping</button>
        <button type="button" disabled={isBusy} onClick={() => change(() => webhooks.update(id, { enabled: !enabled }))}>{enabled ? "Disable" : "Enable"}</button>
        <button type="button" disabled={isBusy} onClick={() => change(async () => setRotated(await webhooks.rotateSecret(id)))}>Rotate the secret</button>
        <button type="button" class="danger" disabled={isBusy} onClick={() => confirmation.current?.showModal()}>Delete…</button>
      </div>
      {rotated && (
        <>
          <SecretOnce secret={rotated.secret} name="signing secret" onDone={() => setRotated(undefined)} />
          <p class="meta">For 24 hours, deliveries have a signature of the old secret, too.</p>
        </>
      )}
      {!!error && <Failure error={error} />}
      <dialog ref={confirmation} aria-label="Delete the webhook">
        <h2>Delete this webhook?</h2>
        <p>Its secrets are deleted, and pending deliveries are not sent.</p>
        <div class="actions">
          <button type="button" class="quiet" onClick={() => confirmation.current?.close()}>Cancel</button>
          <button type="button" class="danger" disabled={isBusy} onClick={remove}>Delete webhook</button>
        </div>
      </dialog>
    </>
  );
}

const LOOKS = { pending: ["wait", "◐"], delivered: ["done", "✓"], failed: ["failed", "✕"] } as const;

function DeliveryRow({ delivery, onSent }: { delivery: Delivery; onSent: () => void }) {
  const { isBusy, error, run } = useAction();
  const { id, webhook_id, event_type, state, failure, run_id, created_at, next_attempt_at, attempts } = delivery;
  const [look, shape] = LOOKS[state];
  const send = () => run(async () => {
    await client.value.webhooks.redeliver(webhook_id, id);
    onSent();
  });
  return (
    <li>
      <details>
        <summary>
          <span class={`chip ${look}`}><span aria-hidden="true">{shape}</span> {state}{failure && `: ${failure.replaceAll("_", " ")}`}</span>
          <code>{event_type}</code>
          <span class="meta"><Time at={created_at} /> · {attempts.length} {attempts.length === 1 ? "attempt" : "attempts"}</span>
        </summary>
        <div class="delivery">
          <p class="meta">
            id <code>{id}</code>{run_id && <> · <a href={href(`runs/${run_id}`)}>the run</a></>}
            {next_attempt_at && state === "pending" && <> · next attempt <Time at={next_attempt_at} /></>}
          </p>
          {attempts.map(({ at, duration_ms, status_code, error: problem, response }) => (
            <p key={at} class="meta">
              <Time at={at} /> · {status_code ?? problem ?? "no response"} · {duration(duration_ms)}
              {response && <> · <span dir="auto">{visible(response)}</span></>}
            </p>
          ))}
          {can("webhooks:write") && state !== "pending" && <button type="button" disabled={isBusy} onClick={send}>Send again</button>}
          {!!error && <Failure error={error} />}
        </div>
      </details>
    </li>
  );
}
