/** Sums of usage by day and by name, and their CSV. */

import type { UsageRow } from "runyard";

export type By = "day" | "agent" | "model" | "user";

export interface Total {
  name: string;
  runs: number;
  failed: number;
  input: number;
  cached: number;
  output: number;
  /** Null while no cost is known. */
  cost: number | null;
  /** Runs whose cost is not known, which `cost` lacks. */
  unknown: number;
}

/** Return the name of a row for the grouping; a run without a model or a user has none. */
export function nameOf(row: UsageRow, by: By): string {
  return (by === "day" ? row.day : by === "user" ? row.user_id : row[by]) ?? "—";
}

/** Return the sums by name: days in their order, other names by cost, then by runs. */
export function totalsOf(rows: UsageRow[], by: By): Total[] {
  const totals = new Map<string, Total>();
  for (const row of rows) {
    const name = nameOf(row, by);
    totals.set(name, sum(totals.get(name) ?? empty(name), row));
  }
  const sorted = [...totals.values()];
  return by === "day"
    ? sorted.sort((a, b) => a.name.localeCompare(b.name))
    : sorted.sort((a, b) => (b.cost ?? 0) - (a.cost ?? 0) || b.runs - a.runs || a.name.localeCompare(b.name));
}

/** Return the sum of all rows. */
export function totalOf(rows: UsageRow[]): Total {
  return rows.reduce(sum, empty("total"));
}

function empty(name: string): Total {
  return { name, runs: 0, failed: 0, input: 0, cached: 0, output: 0, cost: null, unknown: 0 };
}

function sum(total: Total, row: UsageRow): Total {
  return {
    name: total.name,
    runs: total.runs + row.runs,
    failed: total.failed + row.failed,
    input: total.input + row.input_tokens,
    cached: total.cached + row.cached_input_tokens,
    output: total.output + row.output_tokens,
    cost: row.cost_usd === null ? total.cost : (total.cost ?? 0) + row.cost_usd,
    unknown: total.unknown + row.runs_without_cost,
  };
}

/** Return each day from `from` to `to`, so that a day without runs has a bar of 0. */
export function daysBetween(from: string, to: string): string[] {
  const days: string[] = [];
  const DAY = 86_400_000;
  for (let at = Date.parse(from); at <= Date.parse(to) && days.length < 100; at += DAY) {
    days.push(new Date(at).toISOString().slice(0, 10));
  }
  return days;
}

const COLUMNS = [
  "day", "agent", "model", "user_id", "runs", "completed", "failed", "canceled", "input_tokens",
  "cached_input_tokens", "cache_write_tokens", "output_tokens", "cost_usd", "runs_without_cost",
] as const;

/** Return the rows as CSV. A spreadsheet must not run a name as a formula. */
export function csvOf(rows: UsageRow[]): string {
  const used = COLUMNS.filter(name => rows.some(row => row[name] !== undefined));
  const cell = (value: unknown) => {
    const text = String(value ?? "");
    const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [used.join(","), ...rows.map(row => used.map(name => cell(row[name])).join(","))].join("\r\n") + "\r\n";
}
