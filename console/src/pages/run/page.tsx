/** One run: what it did, what it waits for, and what can be done. */

import type { Run } from "runyard";

import { Failure, Id, Skeleton } from "../../components/basics.tsx";
import { useLiveLog } from "../../log/live.ts";
import { usePolled } from "../../polling.ts";
import { href, route } from "../../router.ts";
import { client } from "../../session.ts";
import { Compare } from "./compare.tsx";
import { Head, RunError } from "./head.tsx";
import { OpenQuestions } from "./live_run.tsx";
import { Timeline } from "./timeline.tsx";
import { Conversation, InputAndOutput, RawLog } from "./views.tsx";

const TABS = {
  timeline: "Timeline",
  conversation: "Conversation",
  log: "Log",
  input: "Input & output",
  compare: "Compare",
};
type Tab = keyof typeof TABS;

export function RunPage({ id }: { id: string }) {
  const live = useLiveLog(id).value;
  const [record, refresh] = usePolled(
    `run ${id} ${live.log.status}`,
    signal => client.value.runs.get(id, { signal }),
    () => false,
    ({ ended_at }) => ended_at !== undefined,
  );
  const run: Run | undefined = record.value.data;
  const found = route.value.query.get("tab") as Tab;
  const tab = Object.hasOwn(TABS, found ?? "") ? found : "timeline";
  const { log } = live;
  if (live.connection === "failed" && !log.events.length) {
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
      {log.error && <RunError error={log.error} log={log} />}
      <OpenQuestions {...{ id, log, run }} />
      <nav class="tabs" aria-label="Views">
        {Object.entries(TABS).map(([name, title]) => (
          <a key={name} href={href(`runs/${id}`, { tab: name, with: route.value.query.get("with") ?? "" })} aria-current={tab === name ? "page" : undefined}>
            {title}
          </a>
        ))}
      </nav>
      {!log.events.length ? <Skeleton />
        : tab === "timeline" ? <Timeline log={log} />
        : tab === "conversation" ? <Conversation log={log} />
        : tab === "log" ? <RawLog log={log} id={id} />
        : tab === "compare" ? <Compare id={id} log={log} run={run} />
        : <InputAndOutput run={run} log={log} />}
    </article>
  );
}
