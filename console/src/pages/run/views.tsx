/** The other views of a run: the conversation, the raw log, the input and the output. */

import { useState } from "preact/hooks";
import type { Run } from "runyard";

import { Copy, Skeleton, Text } from "../../components/basics.tsx";
import { Json } from "../../components/json.tsx";
import { count, visible } from "../../format.ts";
import type { RunLog } from "../../log/timeline.ts";
import { route, setQuery } from "../../router.ts";

export function Conversation({ log }: { log: RunLog }) {
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

export function RawLog({ log, id }: { log: RunLog; id: string }) {
  const { query } = route.value;
  const filter = query.get("type") ?? "";
  const [limit, setLimit] = useState(LOG_PAGE);
  const types = [...new Set(log.events.map(({ type }) => type as string))].sort();
  const listed = log.events.filter(({ type }) => (filter ? type === filter : !type.endsWith(".delta")));
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
        <span class="meta">{count(listed.length)} of {count(log.events.length)} events</span>
        <Copy text={log.events.map(event => JSON.stringify(event)).join("\n")} label={`the log of ${id}`} />
      </form>
      <ol class="log">
        {listed.slice(0, limit).map(event => (
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
      {listed.length > limit && <button type="button" class="quiet" onClick={() => setLimit(limit * 2)}>Show more</button>}
    </section>
  );
}

export function InputAndOutput({ run, log }: { run: Run | undefined; log: RunLog }) {
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
