/** What is broken, what waits, and what is at work now. */

import type { Run } from "runyard";

import { Empty, Skeleton, Failure, Time } from "../components/basics.tsx";
import { count, duration, visible } from "../format.ts";
import { now, usePolled } from "../polling.ts";
import { href } from "../router.ts";
import { client } from "../session.ts";
import type { OpenRequest } from "./inbox.tsx";
import { RunTable } from "./runs.tsx";

const HOUR = 3_600_000;
const LONG_RUN = 600_000;

export function NowPage() {
  const runs = client.value.runs;
  const [failed, retryFailed] = usePolled("now failed", signal =>
    runs.list({ status: ["failed"], sort: "-ended_at", page_size: 50 }, { signal }));
  const [waiting, retryWaiting] = usePolled("now waiting", signal =>
    client.value.inputRequests.list({ page_size: 100 }, { signal }), ({ data }) => data.length > 0);
  const [active, retryActive] = usePolled(
    "now active",
    signal => runs.list({ status: ["created", "started"], sort: "started_at", page_size: 50 }, { signal }),
    ({ data }) => data.length > 0,
  );
  const [webhooks] = usePolled("now webhooks", signal => client.value.webhooks.list({}, { signal }));
  const error = failed.value.error ?? waiting.value.error ?? active.value.error;
  const isLoading = !failed.value.data || !waiting.value.data || !active.value.data;
  if (isLoading) {
    return error ? <Failure error={error} retry={() => [retryFailed, retryWaiting, retryActive].forEach(retry => retry())} /> : <Skeleton />;
  }
  const recent = failed.value.data!.data.filter(({ ended_at = "" }) => now.value - Date.parse(ended_at) < HOUR);
  const requests = waiting.value.data!.data as unknown as OpenRequest[];
  const disabled = ((webhooks.value.data as unknown as { data?: Hook[] })?.data ?? []).filter(isDisabled);
  return (
    <>
      <header class="page-head"><h1>Now</h1></header>
      <div class="tiles">
        <FailedTile runs={recent} />
        <WaitingTile requests={requests} total={waiting.value.data!.pagination.total_count} />
        <ActiveTile runs={active.value.data!.data} total={active.value.data!.pagination.total_count} />
        {disabled.length > 0 && (
          <a class="tile failed" href={href("settings")}>
            <span class="tile-name">Webhooks</span>
            <strong>{disabled.length} disabled</strong>
            {disabled.slice(0, 3).map(({ url }) => <span class="meta" key={url}>{visible(url)}</span>)}
          </a>
        )}
      </div>
      {recent.length > 0 ? <><h2>Failed in the last hour</h2><RunTable runs={recent.slice(0, 10)} /></> : <Empty title="Nothing failed in the last hour." />}
    </>
  );
}

interface Hook {
  url: string;
  enabled?: boolean;
  status?: string;
  disabled_at?: string;
}

function isDisabled({ enabled, status, disabled_at }: Hook): boolean {
  return enabled === false || status === "disabled" || disabled_at !== undefined;
}

function FailedTile({ runs }: { runs: Run[] }) {
  const counts = new Map<string, number>();
  for (const { error } of runs) counts.set(error?.code ?? "unknown", (counts.get(error?.code ?? "unknown") ?? 0) + 1);
  const first = runs.at(-1)?.ended_at;
  return (
    <a class={`tile ${runs.length ? "failed" : ""}`} href={href("runs", { status: "failed" })}>
      <span class="tile-name"><span aria-hidden="true">✕</span> Failed, 1 h</span>
      <strong>{runs.length}</strong>
      {[...counts].sort(([, a], [, b]) => b - a).slice(0, 3).map(([code, number]) => (
        <span class="meta" key={code}><code>{code}</code> {number}</span>
      ))}
      {first && <span class="meta">first <Time at={first} /></span>}
    </a>
  );
}

function WaitingTile({ requests, total }: { requests: OpenRequest[]; total: number }) {
  const oldest = requests.map(({ created_at }) => created_at).filter(Boolean).sort()[0];
  const soon = requests.filter(({ expires_at }) => expires_at && Date.parse(expires_at) - now.value < HOUR);
  return (
    <a class={`tile ${total ? "wait" : ""}`} href={href("inbox")}>
      <span class="tile-name"><span aria-hidden="true">◐</span> Waiting</span>
      <strong>{count(total)}</strong>
      {soon.length > 0 && <span class="meta">{soon.length} expire within 1 h: {visible(soon[0]!.tool?.name ?? soon[0]!.prompt)}</span>}
      {oldest && <span class="meta">oldest <Time at={oldest} /></span>}
    </a>
  );
}

function ActiveTile({ runs, total }: { runs: Run[]; total: number }) {
  const [oldest] = runs;
  const age = oldest ? now.value - Date.parse(oldest.started_at) : 0;
  return (
    <a class={`tile ${age > LONG_RUN ? "wait" : ""}`} href={href("runs", { status: "started" })}>
      <span class="tile-name"><span aria-hidden="true">●</span> At work</span>
      <strong>{count(total)}</strong>
      {oldest && <span class="meta">longest {duration(age)}</span>}
      {oldest && <span class="meta">{age > LONG_RUN ? "over 10 min" : "none over 10 min"}</span>}
    </a>
  );
}
