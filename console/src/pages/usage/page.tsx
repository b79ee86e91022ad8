/** Runs, tokens and cost by day, agent, model and user. */

import type { UsageRow } from "runyard";

import { Bars } from "../../components/bars.tsx";
import { Empty, View } from "../../components/basics.tsx";
import { download } from "../../download.ts";
import { count, money, visible } from "../../format.ts";
import { now, usePolled } from "../../polling.ts";
import { href, route, setQuery } from "../../router.ts";
import { client } from "../../session.ts";
import { csvOf, daysBetween, totalOf, totalsOf, type By, type Total } from "./rows.ts";

const GROUPS: By[] = ["day", "agent", "model", "user"];
const SPANS = [7, 30, 90];
const DAY = 86_400_000;

export function UsagePage() {
  const { query } = route.value;
  const found = query.get("by") as By;
  const by = GROUPS.includes(found) ? found : "day";
  const days = SPANS.find(span => String(span) === query.get("days")) ?? 30;
  const to = new Date(Math.floor(now.value / DAY) * DAY).toISOString().slice(0, 10);
  const from = new Date(Date.parse(to) - (days - 1) * DAY).toISOString().slice(0, 10);
  const [state, refresh] = usePolled(`usage ${from} ${to} ${by}`, signal =>
    client.value.usage.get({ from, to, by }, { signal }));
  const rows = state.value.data;
  const save = () => download(`usage-${from}-${to}-${by}.csv`, "text/csv", [csvOf(rows ?? [])]);
  return (
    <>
      <header class="page-head">
        <h1>Usage</h1>
        <span class="meta">{from} to {to}, days in UTC</span>
        <span class="spacer" />
        <button type="button" disabled={!rows?.length} onClick={save}>Download CSV</button>
      </header>
      <form class="filters" onSubmit={event => event.preventDefault()}>
        <nav class="tabs small" aria-label="Group by">
          {GROUPS.map(name => (
            <a key={name} href={href("usage", { by: name, days: String(days) })} aria-current={by === name ? "page" : undefined}>by {name}</a>
          ))}
        </nav>
        <label>
          <span class="hidden">Days</span>
          <select value={String(days)} onChange={event => setQuery({ days: event.currentTarget.value })}>
            {SPANS.map(span => <option key={span} value={String(span)}>{span} days</option>)}
          </select>
        </label>
      </form>
      <View state={state.value} retry={refresh}>
        {data => data.length
          ? <Report rows={data} by={by} days={daysBetween(from, to)} />
          : <Empty title={`No run ended in the last ${days} days.`}>A run counts on the day of its end.</Empty>}
      </View>
    </>
  );
}

function Report({ rows, by, days }: { rows: UsageRow[]; by: By; days: string[] }) {
  const perDay = new Map(totalsOf(rows, "day").map(total => [total.name, total]));
  const total = totalOf(rows);
  // Without a known cost, the bars show runs.
  const isCost = total.cost !== null && total.cost > 0;
  const bars = days.map(day => {
    const { cost = null, runs = 0 } = perDay.get(day) ?? {};
    return isCost
      ? { name: day, value: cost ?? 0, label: money(cost) }
      : { name: day, value: runs, label: `${count(runs)} ${runs === 1 ? "run" : "runs"}` };
  });
  return (
    <>
      <div class="card"><Bars bars={bars} title={isCost ? "Cost per day" : "Runs per day"} /></div>
      {total.unknown > 0 && (
        <p class="notice">The price of the model is unknown for {count(total.unknown)} of {count(total.runs)} runs. Their cost is missing here.</p>
      )}
      <div class="scroll"><TotalTable totals={totalsOf(rows, by)} total={total} by={by} /></div>
    </>
  );
}

function TotalTable({ totals, total, by }: { totals: Total[]; total: Total; by: By }) {
  const listed = by === "day" ? totals.toReversed() : totals;
  return (
    <table class="usage">
      <thead>
        <tr>
          <th>{by}</th>
          {["Runs", "Failed", "Input", "Cached", "Output", "Cost"].map(name => <th key={name} class="number">{name}</th>)}
        </tr>
      </thead>
      <tbody>{listed.map(each => <TotalRow key={each.name} total={each} by={by} />)}</tbody>
      <tfoot><TotalRow total={total} /></tfoot>
    </table>
  );
}

function TotalRow({ total, by }: { total: Total; by?: By }) {
  const { name, runs, failed, input, cached, output, cost, unknown } = total;
  const filter = name === "—" ? undefined : by === "agent" ? { agent: name } : by === "user" ? { user: name } : undefined;
  return (
    <tr>
      <th scope="row">{filter ? <a href={href("runs", filter)}>{visible(name)}</a> : visible(name)}</th>
      <td class="number">{count(runs)}</td>
      <td class={`number ${failed ? "is-failed" : ""}`}>{count(failed)}</td>
      <td class="number">{count(input)}</td>
      <td class="number">{count(cached)}</td>
      <td class="number">{count(output)}</td>
      <td class="number" title={unknown ? `without ${unknown} runs of unknown cost` : ""}>{money(cost)}{unknown > 0 && cost !== null && "+"}</td>
    </tr>
  );
}
