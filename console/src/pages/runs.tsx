/** The list of runs, with filters in the address. */

import { useState } from "preact/hooks";
import type { Run } from "runyard";

import { agentOf, Empty, Id, messageOf, Status, Time, View } from "../components/basics.tsx";
import { count, duration, money, visible } from "../format.ts";
import { now, usePolled } from "../polling.ts";
import { clearFilters, filterOf, Filters, requestOf } from "./run_filters.tsx";
import { href, route, setQuery } from "../router.ts";
import { can, client, lockIfRefused } from "../session.ts";

const ACTIVE = ["created", "started", "paused", "awaiting_input"];
const AT_ONCE = 5;

export function RunsPage() {
  const { query } = route.value;
  const filter = filterOf(query);
  const page = Number(query.get("page") ?? 1);
  const [state, refresh] = usePolled(
    JSON.stringify([filter, page]),
    signal => client.value.runs.list({ ...requestOf(filter), page }, { signal }),
    ({ data }) => data.some(({ status }) => ACTIVE.includes(status)),
  );
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  return (
    <>
      <header class="page-head">
        <h1>Runs</h1>
        {state.value.data && <span class="meta">{count(state.value.data.pagination.total_count)}</span>}
      </header>
      <Filters filter={filter} />
      {selected.size > 0 && <Selection {...{ selected, setSelected, refresh }} />}
      <View state={state.value} retry={refresh}>
        {({ data, pagination }) =>
          data.length ? (
            <>
              <RunTable {...{ runs: data, selected, setSelected }} />
              {pagination.page_count > 1 && <Pager {...pagination} />}
            </>
          ) : Object.keys(filter).length ? (
            <Empty title={`No run has ${Object.entries(filter).map(([name, value]) => `${name} ${visible(value)}`).join(", ")}.`}>
              <button type="button" class="quiet" onClick={clearFilters}>Clear the filter</button>
            </Empty>
          ) : (
            <Empty title="No runs yet.">
              Start one: <code>runyard run</code>
            </Empty>
          )}
      </View>
    </>
  );
}

interface Selectable {
  selected: ReadonlySet<string>;
  setSelected: (ids: ReadonlySet<string>) => void;
}

export function RunTable({ runs, selected, setSelected }: { runs: Run[] } & Partial<Selectable>) {
  function toggle(id: string): void {
    const changed = new Set(selected);
    if (!changed.delete(id)) changed.add(id);
    setSelected?.(changed);
  }
  return (
    <table class="runs">
      <thead>
        <tr>
          {setSelected && <th class="tick"><span class="hidden">Select</span></th>}
          <th>Status</th>
          <th>Run</th>
          <th>Agent</th>
          <th>User</th>
          <th class="what">What</th>
          <th class="number">Started</th>
          <th class="number">Time</th>
          <th class="number">Cost</th>
        </tr>
      </thead>
      <tbody>
        {runs.map(run => (
          <tr key={run.id}>
            {setSelected && (
              <td class="tick">
                <input type="checkbox" checked={selected!.has(run.id)} onChange={() => toggle(run.id)} aria-label={`Select run ${run.id}`} />
              </td>
            )}
            <td><Status status={run.status} /></td>
            <td><a class="row-link" href={href(`runs/${run.id}`)}><Id id={run.id} label="run id" /></a></td>
            <td>{visible(agentOf(run))}</td>
            <td>{run.user_id && <a href={href("runs", { user: run.user_id })}>{visible(run.user_id)}</a>}</td>
            <td class="what" title={visible(whatOf(run))}>{visible(whatOf(run))}</td>
            <td class="number"><Time at={run.started_at} /></td>
            <td class="number">{timeOf(run)}</td>
            <td class="number">{money(run.usage?.cost_usd)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Return why the run failed, what it waits for, or the start of its input. */
function whatOf(run: Run): string {
  if (run.error) return run.error.code;
  const [request] = run.input_requests ?? [];
  if (request) return request.prompt;
  if (run.thread_id) return "a message of a thread";
  const [first] = Object.values(run.input).filter(value => typeof value === "string");
  return (first ?? "").slice(0, 200);
}

function timeOf(run: Run): string {
  if (run.usage?.duration_ms !== undefined) return duration(run.usage.duration_ms);
  const end = run.ended_at ? Date.parse(run.ended_at) : now.value;
  return duration(end - Date.parse(run.started_at));
}

function Pager({ page, page_count }: { page: number; page_count: number }) {
  return (
    <nav class="pager" aria-label="Pages">
      <button type="button" class="quiet" disabled={page <= 1} onClick={() => setQuery({ page: `${page - 1}` })}>‹ Newer</button>
      <span class="meta">page {page} of {count(page_count)}</span>
      <button type="button" class="quiet" disabled={page >= page_count} onClick={() => setQuery({ page: `${page + 1}` })}>Older ›</button>
    </nav>
  );
}

function Selection({ selected, setSelected, refresh }: Selectable & { refresh: () => void }) {
  const [results, setResults] = useState<Record<string, string>>({});
  async function cancelAll(): Promise<void> {
    const ids = [...selected];
    for (let start = 0; start < ids.length; start += AT_ONCE) {
      await Promise.all(
        ids.slice(start, start + AT_ONCE).map(async id => {
          let result = "canceled";
          try {
            await client.value.runs.cancel(id);
          } catch (error) {
            lockIfRefused(error);
            result = messageOf(error);
          }
          setResults(all => ({ ...all, [id]: result }));
        }),
      );
    }
    refresh();
  }
  return (
    <div class="notice selection" role="region" aria-label="Selected runs">
      <span>{selected.size} selected</span>
      {can("runs:write") && (
        <button type="button" class="danger" onClick={cancelAll}>Cancel {selected.size === 1 ? "run" : "runs"}</button>
      )}
      {selected.size === 2 && <a class="button" href={comparison([...selected])}>Compare</a>}
      <button type="button" class="quiet" onClick={() => setSelected(new Set())}>Clear</button>
      {Object.entries(results).map(([id, result]) => (
        <p class="meta" key={id}><code>{id.slice(0, 8)}</code> {visible(result)}</p>
      ))}
    </div>
  );
}

function comparison([first, second]: string[]): string {
  return href(`runs/${first}`, { tab: "compare", with: second });
}
