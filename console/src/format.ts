/** Numbers and times as people read them. */

const UNITS: [seconds: number, name: string][] = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** Return a time span such as `0.4 s`, `12 s`, `4 min` or `3 d 2 h`. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds / 1000);
  if (seconds < 1) return `${Math.round(milliseconds)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const at = UNITS.findIndex(([size]) => seconds >= size);
  const [size, name] = UNITS[at]!;
  const count = Math.floor(seconds / size);
  const next = UNITS[at + 1];
  const rest = next ? Math.floor((seconds % size) / next[0]) : 0;
  return count < 10 && rest && size > 60 ? `${count} ${name} ${rest} ${next![1]}` : `${count} ${name}`;
}

/** Return when something was or will be, such as `4 min ago` or `in 2 h`. */
export function relative(time: string, now: number): string {
  const past = now - Date.parse(time);
  if (Math.abs(past) < 1000) return "now";
  const rounded = duration(Math.max(1000, Math.floor(Math.abs(past) / 1000) * 1000)).replace(".0", "");
  return past > 0 ? `${rounded} ago` : `in ${rounded}`;
}

/** Return USD to the digit that matters; an unknown cost is a dash, never 0. */
export function money(usd: number | null | undefined): string {
  if (usd === null || usd === undefined) return "—";
  if (usd === 0) return "$0";
  return usd >= 1 ? `$${usd.toFixed(2)}` : `$${usd.toPrecision(2).replace(/0+$/, "")}`;
}

export function count(value: number): string {
  return value.toLocaleString("en-US");
}

export function shortId(id: string): string {
  return id.slice(0, 8);
}

// Characters that are invisible, or that change the direction of what comes after them.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** Return the text with its invisible characters as codes, so that a reader sees what is there. */
export function visible(text: string): string {
  return text.replace(HIDDEN, found => `␣${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
