/** One run: what it did, what it waits for, and what can be done. */

import { useState } from "preact/hooks";
import type { Run } from "runyard";

import { agentOf, Copy, Failure, Id, Skeleton, Status, Text, Time } from "../components/basics.tsx";
import { Json, parsed } from "../components/json.tsx";
import { QuestionForm } from "../components/question.tsx";
import { count, duration, money, visible } from "../format.ts";
import { useLiveLog, type LiveLog } from "../log/live.ts";
import { Axis, type Row, type RunLog } from "../log/timeline.ts";
import { now, usePolled } from "../polling.ts";
import { href, route, setQuery } from "../router.ts";
import { client, lockIfRefused } from "../session.ts";

const TABS = ["timeline", "conversation", "log", "input"] as const;
const TAB_NAMES = { timeline: "Timeline", conversation: "Conversation", log: "Log", input: "Input & output" };
type Tab = (typeof TABS)[number];

export function RunPage({ id }: { id: string }) {
  const live = useLiveLog(id).value;
  const [record, refresh] = usePolled(
    `run ${id} ${live.log.status}`,
    signal => client.value.runs.get(id, { signal }),
    () => false,
    ({ ended_at }) => ended_at !== undefined,
  );
  const run = record.value.data;
  const found = route.value.query.get("tab") as Tab;
  const tab = TABS.includes(found) ? found : "timeline";
  if (live.connection === "failed" && !live.log.events.length) {
    return (
      <>
        <header class="page-head"><h1>Run</h1><Id id={id} label="run id" /></header>
        <Failure error={live.error} retry={() => location.reload()} />
      </>
    );
  }
  return (
    <article class="run">
      <Head {...{ id, live, run, refresh }} />
      {live.log.error && <RunError error={live.log.error} log={live.log} />}
      {live.log.open.map(question => (
        <section class="card wait" key={question.id}>
          <QuestionForm runId={id} question={question} effect={effectOf(run, question.id)} />
        </section>
      ))}
      <nav class="tabs" aria-label="Views">
        {TABS.map(name => (
          <a key={name} href={href(`runs/${id}`, { tab: name })} aria-current={tab === name ? "page" : undefined}>
            {TAB_NAMES[name]}
          </a>
        ))}
      </nav>
      {!live.log.events.length ? <Skeleton /> : tab === "timeline" ? (
        <Timeline log={live.log} />
      ) : tab === "conversation" ? (
        <Conversation log={live.log} />
      ) : tab === "log" ? (
        <RawLog log={live.log} id={id} />
      ) : (
        <InputAndOutput run={run} log={live.log} />
      )}
    </article>
  );
}

function effectOf(run: Run | undefined, requestId: string): string | undefined {
  const request = run?.input_requests?.find(each => each.id === requestId) as { tool?: { effect?: string } } | undefined;
  return request?.tool?.effect;
}

interface HeadProps {
  id: string;
  live: LiveLog;
  run: Run | undefined;
  refresh: () => void;
}

function Head({ id, live: { log, connection, error }, run, refresh }: HeadProps) {
  const [failure, setFailure] = useState<unknown>();
  const [isCanceling, setCanceling] = useState(false);
  async function cancel(): Promise<void> {
    setCanceling(true);
    try {
      await client.value.runs.cancel(id);
      refresh();
    } catch (problem) {
      lockIfRefused(problem);
      setFailure(problem);
    } finally {
      setCanceling(false);
    }
  }
  const usage = log.usage ?? run?.usage;
  const axis = new Axis(log, now.value);
  return (
    <header class="run-head">
      <div class="page-head">
        <Status status={log.status} />
        <h1>{visible(run ? agentOf(run) : "") || "Run"}</h1>
        <Id id={id} label="run id" />
        {run?.user_id && <a href={href("runs", { user: run.user_id })}>{visible(run.user_id)}</a>}
        <span class="spacer" />
        <a class="button" href={href(`runs/${id}`, { tab: "input" })}>Input</a>
        {!log.isEnded && (
          <button type="button" class="danger" disabled={isCanceling} onClick={cancel}>Cancel run</button>
        )}
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
      {!!failure && <Failure error={failure} />}
    </header>
  );
}

const CONNECTIONS = { connecting: "◌ connecting", live: "● live", ended: "✓ complete", failed: "✕ connection lost" };

function RunError({ error, log }: { error: { code: string; message: string }; log: RunLog }) {
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

const ROW_LIMIT = 300;

/** The rows as bars on the time at work. Selecting a row opens its detail beside it. */
function Timeline({ log }: { log: RunLog }) {
  const [selected, setSelected] = useState("");
  const [limit, setLimit] = useState(ROW_LIMIT);
  const row = log.rows.find(({ key }) => key === selected);
  const axis = new Axis(log, now.value);
  const hidden = Math.max(0, log.rows.length - limit);
  return (
    <div class={`waterfall ${row ? "with-detail" : ""}`}>
      <ol>
        {hidden > 0 && (
          <li><button type="button" class="quiet" onClick={() => setLimit(limit * 4)}>Show {count(hidden)} earlier rows</button></li>
        )}
        {log.rows.slice(hidden).map(each => (
          <Bar key={each.key} row={each} axis={axis} isSelected={each === row} onSelect={() => setSelected(each === row ? "" : each.key)} />
        ))}
      </ol>
      {row && (
        <aside class="detail" aria-label={`Detail of ${visible(row.title)}`}>
          <button type="button" class="quiet close" onClick={() => setSelected("")} aria-label="Close">✕</button>
          <Detail row={row} />
        </aside>
      )}
    </div>
  );
}

const SHAPES = { work: "●", wait: "◐", done: "✓", failed: "✕", canceled: "⊘" };

interface BarProps {
  row: Row;
  axis: Axis;
  isSelected: boolean;
  onSelect: () => void;
}

function Bar({ row, axis, isSelected, onSelect }: BarProps) {
  const from = axis.position(row.started);
  const to = axis.position(row.ended ?? Infinity);
  const end = row.ended ?? now.value;
  return (
    <li id={`row-${row.sequence}`}>
      <button type="button" class={`bar-row ${row.kind}`} aria-expanded={isSelected} onClick={onSelect}>
        <span class={`shape ${row.look}`} aria-label={row.look}>{SHAPES[row.look]}</span>
        <span class="title">{visible(row.title)}</span>
        <span class="track" aria-hidden="true">
          <svg viewBox="0 0 1000 10" preserveAspectRatio="none">
            <rect class={row.look} x={from * 1000} width={Math.max(3, (to - from) * 1000)} y="1" height="8" />
          </svg>
        </span>
        <span class="time">{row.kind === "note" ? "" : duration(end - row.started)}</span>
        <span class="summary" dir="auto">{visible(row.summary.slice(0, 300))}</span>
      </button>
    </li>
  );
}

function Detail({ row }: { row: Row }) {
  return (
    <>
      <h2>{visible(row.title)}</h2>
      <p class="meta">
        <Time at={new Date(row.started).toISOString()} />
        {row.model && ` · ${visible(row.model)}`}
        {row.usage && ` · ${count(Number(row.usage.input_tokens ?? 0))} in, ${count(Number(row.usage.output_tokens ?? 0))} out`}
      </p>
      {row.error && <p class="notice failed"><strong dir="auto">{visible(row.error.message)}</strong><br /><code>{row.error.code}</code></p>}
      {row.request && <QuestionFacts row={row} />}
      {row.thinking && (
        <details>
          <summary>Thinking</summary>
          <Text>{row.thinking}</Text>
        </details>
      )}
      {row.text && <><h3>Text</h3><Text>{row.text}</Text></>}
      {row.input !== undefined && <><h3>Arguments</h3><Json value={row.input} label="arguments" /></>}
      {row.result !== undefined && <><h3>Result</h3><Json value={typeof row.result === "string" ? parsed(row.result) : row.result} label="result" /></>}
      {row.data !== undefined && <><h3>Event</h3><Json value={row.data} label="event" /></>}
    </>
  );
}

function QuestionFacts({ row }: { row: Row }) {
  const { prompt, params, effective, answeredBy, state } = row.request!;
  return (
    <>
      <Text>{prompt}</Text>
      <p class="meta">{state}{answeredBy && ` by ${visible(answeredBy)}`}</p>
      <h3>Proposed</h3>
      <Json value={params} label="proposed arguments" />
      {effective && <><h3>Sent</h3><Json value={effective} label="sent arguments" /></>}
    </>
  );
}

function Conversation({ log }: { log: RunLog }) {
  const parts = log.rows.filter(({ kind }) => kind !== "note" && kind !== "step");
  return (
    <div class="conversation">
      {parts.map(row => (
        <section key={row.key} class={`message ${row.kind}`}>
          <h2 class="meta">{visible(row.title)}</h2>
          {row.text ? <Text>{row.text}</Text> : <p dir="auto">{visible(row.summary)}</p>}
        </section>
      ))}
      {!parts.length && <p class="meta">Nothing was said yet.</p>}
    </div>
  );
}

const LOG_PAGE = 200;

function RawLog({ log, id }: { log: RunLog; id: string }) {
  const { query } = route.value;
  const filter = query.get("type") ?? "";
  const [limit, setLimit] = useState(LOG_PAGE);
  const types = [...new Set(log.events.map(({ type }) => type as string))].sort();
  const shown = log.events.filter(({ type }) => (filter ? type === filter : !type.endsWith(".delta")));
  return (
    <section>
      <form class="filters" onSubmit={event => event.preventDefault()}>
        <label>
          <span class="hidden">Type</span>
          <select value={filter} onChange={event => setQuery({ type: event.currentTarget.value })}>
            <option value="">Every type but deltas</option>
            {types.map(type => <option key={type} value={type}>{type}</option>)}
          </select>
        </label>
        <span class="meta">{count(shown.length)} of {count(log.events.length)} events</span>
        <Copy text={log.events.map(event => JSON.stringify(event)).join("\n")} label={`the log of ${id}`} />
      </form>
      <ol class="log">
        {shown.slice(0, limit).map(event => (
          <li key={event.sequence}>
            <details>
              <summary>
                <span class="number">{event.sequence}</span>
                <code>{event.type}</code>
                <span class="meta">{event.timestamp.slice(11, 23)}</span>
              </summary>
              <Json value={event.data} label="event" />
            </details>
          </li>
        ))}
      </ol>
      {shown.length > limit && <button type="button" class="quiet" onClick={() => setLimit(limit * 2)}>Show more</button>}
    </section>
  );
}

function InputAndOutput({ run, log }: { run: Run | undefined; log: RunLog }) {
  if (!run) return <Skeleton />;
  return (
    <div class="columns">
      <section class="card"><h2>Input</h2><Json value={run.input} label="input" /></section>
      <section class="card">
        <h2>Output</h2>
        {log.output === undefined ? <p class="meta">None{log.isEnded ? "." : " yet."}</p> : <Json value={log.output} label="output" />}
      </section>
    </div>
  );
}
