/** The response of a run as it is written: thinking folded, calls in a line, questions with their forms. */

import { useEffect, useRef } from "preact/hooks";

import { useAction } from "../../components/action.ts";
import { Failure, Status, Text } from "../../components/basics.tsx";
import { QuestionForm } from "../../components/question.tsx";
import { visible } from "../../format.ts";
import { useLiveLog } from "../../log/live.ts";
import type { Row } from "../../log/timeline.ts";
import { href } from "../../router.ts";
import { can, client } from "../../session.ts";

const NEAR_END = 240;

export function LiveResponse({ id, onEnded }: { id: string; onEnded: () => void }) {
  const { log, version, connection, error } = useLiveLog(id).value;
  const stop = useAction();
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (log.isEnded) onEnded();
  }, [log.isEnded]);
  useEffect(() => {
    const { scrollHeight } = document.documentElement;
    if (scrollHeight - scrollY - innerHeight < NEAR_END) end.current?.scrollIntoView({ block: "nearest" });
  }, [version]);
  return (
    <section class="message assistant" aria-label="Response">
      <div class="page-head">
        <Status status={log.status} />
        <a class="meta" href={href(`runs/${id}`)}>run</a>
        <span class="spacer" />
        {!log.isEnded && can("runs:write") && (
          <button type="button" class="danger" disabled={stop.isBusy} onClick={() => stop.run(() => client.value.runs.cancel(id))}>Stop</button>
        )}
      </div>
      <div class="conversation">
        {log.rows.filter(({ kind }) => kind !== "note" && kind !== "step").map(row => <Part key={row.key} row={row} runId={id} />)}
      </div>
      {log.error && <p class="notice failed"><strong dir="auto">{visible(log.error.message)}</strong> <code>{log.error.code}</code></p>}
      {connection === "failed" && <Failure error={error} />}
      {!!stop.error && <Failure error={stop.error} />}
      <div ref={end} />
    </section>
  );
}

function Part({ row, runId }: { row: Row; runId: string }) {
  if (row.request) {
    return row.request.state === "open"
      ? <div class="card wait"><QuestionForm runId={runId} question={row.request} /></div>
      : <p class="meta">{visible(row.request.prompt)}: {visible(row.summary)}</p>;
  }
  if (row.kind === "call") return <p class="meta" dir="auto">{visible(row.title)} {visible(row.summary.slice(0, 200))}</p>;
  return (
    <>
      {row.thinking && <details><summary class="meta">Thinking</summary><Text>{row.thinking}</Text></details>}
      {row.text && <Text>{row.text}</Text>}
    </>
  );
}
