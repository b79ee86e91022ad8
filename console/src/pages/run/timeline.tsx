/** The rows of a run as bars, and the detail of the selected row. */

import { useState } from "preact/hooks";

import { Text, Time } from "../../components/basics.tsx";
import { Json, parsed } from "../../components/json.tsx";
import { count, duration, visible } from "../../format.ts";
import { Axis, type Row, type RunLog } from "../../log/timeline.ts";
import { now } from "../../polling.ts";

const ROW_LIMIT = 300;

/** The rows as bars on the time at work. Selecting a row opens its detail next to it. */
export function Timeline({ log }: { log: RunLog }) {
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
