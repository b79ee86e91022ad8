/** The head of a run: its state, its facts, and what can be done. */

import type { Run } from "runyard";

import { agentOf, Failure, Id, Status, Time } from "../../components/basics.tsx";
import { count, duration, money, visible } from "../../format.ts";
import type { LiveLog } from "../../log/live.ts";
import { Axis, type Row, type RunLog } from "../../log/timeline.ts";
import { now } from "../../polling.ts";
import { href } from "../../router.ts";
import { Actions } from "./actions.tsx";

interface HeadProps {
  id: string;
  live: LiveLog;
  run: Run | undefined;
  refresh: () => void;
}

export function Head({ id, live: { log, connection, error }, run, refresh }: HeadProps) {
  const usage = log.usage ?? run?.usage;
  const axis = new Axis(log, now.value);
  return (
    <header class="run-head">
      <div class="page-head">
        <Status status={log.status} />
        <h1>{visible(run ? agentOf(run) : "") || "Run"}</h1>
        <Id id={id} label="run id" />
        {run?.user_id && <a href={href("runs", { user: run.user_id })}>{visible(run.user_id)}</a>}
        {run?.thread_id && <a href={href(`threads/${run.thread_id}`)}>thread</a>}
        <span class="spacer" />
        <Actions {...{ id, log, run, refresh }} />
      </div>
      <p class="meta facts">
        <span>{CONNECTIONS[connection]}, event {count(log.lastSequence)}</span>
        <span>
          {usage ? `${count(usage.input_tokens)} in (${count(usage.cached_input_tokens ?? 0)} cached), ${count(usage.output_tokens)} out` : "— tokens"}
        </span>
        <span>{money(usage?.cost_usd)}</span>
        {log.startedAt > 0 && (
          <span>
            {duration(axis.work)} at work{axis.waited > 1000 && `, waited ${duration(axis.waited)}`}
          </span>
        )}
        {run && <span>started <Time at={run.started_at} /></span>}
      </p>
      {connection === "failed" && <Failure error={error} retry={() => location.reload()} />}
    </header>
  );
}

const CONNECTIONS = { connecting: "◌ connecting", live: "● live", ended: "✓ complete", failed: "✕ connection lost" };

export function RunError({ error, log }: { error: { code: string; message: string }; log: RunLog }) {
  const row = log.rows.findLast(({ look }) => look === "failed");
  return (
    <section class="notice failed" role="alert">
      <strong dir="auto">{visible(error.message)}</strong>
      <p class="meta"><code>{error.code}</code>{row && <> at <a href={`#row-${row.sequence}`} onClick={event => reveal(event, row)}>{visible(row.title)}</a></>}</p>
    </section>
  );
}

function reveal(event: Event, row: Row): void {
  event.preventDefault();
  document.getElementById(`row-${row.sequence}`)?.scrollIntoView({ block: "center" });
}
