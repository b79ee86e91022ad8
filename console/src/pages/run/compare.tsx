/** Two runs next to each other: state, time, tokens, cost, and the changes of each step. */

import type { Run } from "runyard";

import { Empty, Failure, Id, Skeleton, Status } from "../../components/basics.tsx";
import { count, duration, money, visible } from "../../format.ts";
import { useLiveLog } from "../../log/live.ts";
import { Axis, type RunLog } from "../../log/timeline.ts";
import { now, usePolled } from "../../polling.ts";
import { href, route, setQuery } from "../../router.ts";
import { client } from "../../session.ts";
import { changesOf, contentOf, pairsOf, type Pair } from "./diff.ts";

interface Props {
  id: string;
  log: RunLog;
  run: Run | undefined;
}

export function Compare({ id, log, run }: Props) {
  const other = route.value.query.get("with") ?? "";
  return (
    <section>
      <OtherPicker id={id} run={run} other={other} />
      {other ? <Comparison key={other} log={log} other={other} /> : <Empty title="Choose the run to compare with." />}
    </section>
  );
}

/** Pick one of the newest runs of the same agent, or enter an id. */
function OtherPicker({ id, run, other }: { id: string; run: Run | undefined; other: string }) {
  const [list] = usePolled(`compare ${run?.agent ?? ""}`, signal =>
    client.value.runs.list({ page_size: 25, ...(run?.agent && { agent: nameOf(run.agent) }) }, { signal }));
  const runs = (list.value.data?.data ?? []).filter(each => each.id !== id);
  const choose = (chosen: string) => setQuery({ with: chosen.trim() });
  return (
    <form class="filters" onSubmit={event => event.preventDefault()}>
      <label>
        <span class="hidden">Compare with</span>
        <select value={other} onChange={event => choose(event.currentTarget.value)}>
          <option value="">Recent runs of this agent</option>
          {other && !runs.some(each => each.id === other) && <option value={other}>{other.slice(0, 8)}</option>}
          {runs.map(each => (
            <option key={each.id} value={each.id}>
              {each.id.slice(0, 8)} · {each.status} · {each.started_at.slice(0, 16).replace("T", " ")}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span class="hidden">Id of the other run</span>
        <input placeholder="or a run id" onChange={event => choose(event.currentTarget.value)} />
      </label>
    </form>
  );
}

function nameOf(agent: string | { name: string }): string {
  return (typeof agent === "string" ? agent : agent.name).replace(/@.*/, "");
}

function Comparison({ log, other }: { log: RunLog; other: string }) {
  const second = useLiveLog(other).value;
  if (second.connection === "failed") return <Failure error={second.error} />;
  if (!second.log.events.length) return <Skeleton />;
  const pairs = pairsOf(log.rows, second.log.rows);
  return (
    <div class="scroll">
      <table class="compare">
        <thead><tr><th>Step</th><th>This run</th><th><a href={href(`runs/${other}`)}><Id id={other} label="id of the other run" /></a></th></tr></thead>
        <tbody>
          <tr><th scope="row">status</th><td><Status status={log.status} /></td><td><Status status={second.log.status} /></td></tr>
          {FACTS.map(([name, textOf]) => (
            <tr key={name}><th scope="row">{name}</th><td>{textOf(log)}</td><td>{textOf(second.log)}</td></tr>
          ))}
          {pairs.map((pair, index) => <Step key={index} pair={pair} />)}
        </tbody>
      </table>
    </div>
  );
}

const FACTS: [string, (log: RunLog) => string][] = [
  ["at work", log => duration(new Axis(log, now.value).work)],
  ["tokens", ({ usage }) => (usage ? `${count(usage.input_tokens)} in, ${count(usage.output_tokens)} out` : "—")],
  ["cost", ({ usage }) => money(usage?.cost_usd)],
];

function Step({ pair: { left, right } }: { pair: Pair }) {
  const row = (left ?? right)!;
  const one = left && contentOf(left);
  const two = right && contentOf(right);
  const isSame = one === two;
  const changes = one === undefined || two === undefined || isSame ? [] : changesOf(one, two);
  return (
    <tr class={isSame ? "same" : "different"}>
      <th scope="row">{visible(row.title)}<br /><span class="meta">{isSame ? "same" : !left ? "only there" : !right ? "only here" : "differs"}</span></th>
      <td>{one === undefined ? "—" : <Side text={one} changes={changes.filter(({ kind }) => kind !== "added")} />}</td>
      <td>{two === undefined ? "—" : <Side text={two} changes={changes.filter(({ kind }) => kind !== "removed")} />}</td>
    </tr>
  );
}

function Side({ text, changes }: { text: string; changes: { kind: string; text: string }[] }) {
  if (!changes.length) return <div class="text" dir="auto">{visible(text)}</div>;
  return (
    <div class="text" dir="auto">
      {changes.map(({ kind, text: part }, index) =>
        kind === "same" ? visible(part)
          : kind === "added" ? <ins key={index}>{visible(part)}</ins>
          : <del key={index}>{visible(part)}</del>)}
    </div>
  );
}
