/** The limits of a run, with their units. */

import type { Agent } from "runyard";

import { count, duration, money, visible } from "../../format.ts";

const TEXTS: Record<string, (value: number) => string> = {
  usd: money,
  usd_per_day: money,
  wall_clock_seconds: seconds => duration(seconds * 1000),
  wait_seconds: seconds => duration(seconds * 1000),
};

export function Limits({ limits }: { limits: Agent["limits"] }) {
  const { on_limit, ...numbers } = limits;
  return (
    <dl class="facts-list">
      {Object.entries(numbers).map(([name, value]) => (
        <div key={name}>
          <dt>{visible(name.replace(/_seconds$/, "").replaceAll("_", " "))}</dt>
          <dd>{typeof value === "number" ? (TEXTS[name] ?? count)(value) : visible(JSON.stringify(value))}</dd>
        </div>
      ))}
      <div><dt>at a limit</dt><dd>{on_limit === "ask" ? "the run asks a person" : "the run fails"}</dd></div>
    </dl>
  );
}
