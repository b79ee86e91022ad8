/** The filters of the list of runs, as parameters of the address. */

import type { RunStatus } from "runyard";

import { useLoaded } from "../polling.ts";
import { setQuery } from "../router.ts";
import { client } from "../session.ts";
import { visible } from "../format.ts";

const STATUSES = ["created", "started", "paused", "awaiting_input", "completed", "failed", "canceled"];
const HOUR = 3_600_000;
const SPANS: Record<string, number> = { "1 h": HOUR, "24 h": 24 * HOUR, "7 d": 168 * HOUR, "30 d": 720 * HOUR };
const NAMES = ["status", "agent", "user", "session", "since"] as const;
// A start that moves with each request would make each one a new request.
const STEP = 60_000;

export type Filter = Partial<Record<(typeof NAMES)[number], string>>;

/** Return the filters that are set. */
export function filterOf(query: URLSearchParams): Filter {
  return Object.fromEntries(NAMES.flatMap(name => (query.get(name) ? [[name, query.get(name)!]] : [])));
}

/** Return the filters as the service reads them. */
export function requestOf({ status, agent, user, session, since }: Filter): object {
  const span = SPANS[since ?? ""];
  return {
    ...(status && { status: [status as RunStatus] }),
    ...(agent && { agent }),
    ...(user && { user_id: user }),
    ...(session && { session_id: session }),
    ...(span && { started_after: new Date(Math.floor((Date.now() - span) / STEP) * STEP).toISOString() }),
  };
}

export function clearFilters(): void {
  setQuery({ ...Object.fromEntries(NAMES.map(name => [name, ""])), page: "" });
}

export function Filters({ filter }: { filter: Filter }) {
  const [agents] = useLoaded("agents", signal => client.value.agents.list({ page_size: 100 }, { signal }));
  const names = agents.value.data?.data.map(({ name }) => name) ?? [];
  const { agent } = filter;
  return (
    <form class="filters" onSubmit={event => event.preventDefault()}>
      <Choice name="status" all="Every status" values={STATUSES} filter={filter} />
      <Choice name="agent" all="Every agent" values={!agent || names.includes(agent) ? names : [...names, agent]} filter={filter} />
      <FilterText name="user" label="User" filter={filter} />
      <FilterText name="session" label="Session" filter={filter} />
      <Choice name="since" all="At any time" values={Object.keys(SPANS)} filter={filter} prefix="since " />
      {Object.keys(filter).length > 0 && <button type="button" class="quiet" onClick={clearFilters}>Clear</button>}
    </form>
  );
}

interface ChoiceProps {
  name: keyof Filter;
  all: string;
  values: string[];
  filter: Filter;
  prefix?: string;
}

function Choice({ name, all, values, filter, prefix = "" }: ChoiceProps) {
  return (
    <label>
      <span class="hidden">{name}</span>
      <select value={filter[name] ?? ""} onChange={event => setQuery({ [name]: event.currentTarget.value, page: "" })}>
        <option value="">{all}</option>
        {values.map(value => <option key={value} value={value}>{prefix}{visible(value)}</option>)}
      </select>
    </label>
  );
}

function FilterText({ name, label, filter }: { name: keyof Filter; label: string; filter: Filter }) {
  return (
    <label>
      <span class="hidden">{label}</span>
      <input placeholder={label} value={filter[name] ?? ""} onChange={event => setQuery({ [name]: event.currentTarget.value.trim(), page: "" })} />
    </label>
  );
}
