/** What the visitor prefers in this browser: colors and times. The access key is never stored here. */

import { effect, signal } from "@preact/signals";

export const THEMES = ["system", "light", "dark"] as const;
export const TIMES = ["relative", "local", "utc"] as const;
export type Theme = (typeof THEMES)[number];
export type TimeStyle = (typeof TIMES)[number];

function stored<Value extends string>(name: string, allowed: readonly Value[]): Value {
  const found = localStorage.getItem(`runyard.${name}`) as Value;
  return allowed.includes(found) ? found : allowed[0]!;
}

export const theme = signal<Theme>(stored("theme", THEMES));
export const timeStyle = signal<TimeStyle>(stored("time", TIMES));

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  save("theme", theme.value, THEMES[0]);
});
effect(() => save("time", timeStyle.value, TIMES[0]));

/** Store the choice; the default needs no entry. */
function save(name: string, value: string, normal: string): void {
  if (value === normal) localStorage.removeItem(`runyard.${name}`);
  else localStorage.setItem(`runyard.${name}`, value);
}
