/** A run in a drawer: its state, its open questions and its rows. */

import type { Run } from "runyard";

import { Failure, Skeleton, Status } from "../../components/basics.tsx";
import { Json } from "../../components/json.tsx";
import { QuestionForm } from "../../components/question.tsx";
import { useLiveLog } from "../../log/live.ts";
import type { RunLog } from "../../log/timeline.ts";
import { usePolled } from "../../polling.ts";
import { href } from "../../router.ts";
import { client } from "../../session.ts";
import { RunError } from "./head.tsx";
import { Conversation } from "./views.tsx";

export function LiveRun({ id }: { id: string }) {
  const { log, connection, error } = useLiveLog(id).value;
  const [record] = usePolled(`run ${id} ${log.status}`, signal => client.value.runs.get(id, { signal }));
  if (connection === "failed" && !log.events.length) return <Failure error={error} />;
  return (
    <>
      <div class="page-head">
        <Status status={log.status} />
        <a href={href(`runs/${id}`)}>Open the run</a>
      </div>
      {log.error && <RunError error={log.error} log={log} />}
      <OpenQuestions id={id} log={log} run={record.value.data} />
      {log.events.length ? <Conversation log={log} /> : <Skeleton rows={3} />}
      {log.output !== undefined && <><h3>Output</h3><Json value={log.output} label="output" /></>}
    </>
  );
}

interface QuestionsProps {
  id: string;
  log: RunLog;
  run: Run | undefined;
}

export function OpenQuestions({ id, log, run }: QuestionsProps) {
  return (
    <>
      {log.open.map(question => (
        <section class="card wait" key={question.id}>
          <QuestionForm runId={id} question={question} effect={effectOf(run, question.id)} />
        </section>
      ))}
    </>
  );
}

function effectOf(run: Run | undefined, requestId: string): string | undefined {
  const request = run?.input_requests?.find(each => each.id === requestId) as { tool?: { effect?: string } } | undefined;
  return request?.tool?.effect;
}
