/** Small parts that every page uses. */

import { useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { ApiError, type Run } from "runyard";

import { relative, shortId, visible } from "../format.ts";
import { timeStyle } from "../preferences.ts";
import type { Look } from "../log/timeline.ts";
import { now, type Loaded } from "../polling.ts";

// What a reader sees of a run's status: a color, a shape and a word.
const LOOKS: Record<string, [Look, shape: string, word: string]> = {
  created: ["work", "○", "created"],
  started: ["work", "●", "at work"],
  paused: ["wait", "◐", "paused"],
  awaiting_input: ["wait", "◐", "waiting"],
  completed: ["done", "✓", "completed"],
  failed: ["failed", "✕", "failed"],
  canceled: ["canceled", "⊘", "canceled"],
};

export function Status({ status }: { status: string }) {
  const [look, shape, word] = LOOKS[status] ?? ["work", "●", status];
  return (
    <span class={`chip ${look}`}>
      <span aria-hidden="true">{shape}</span> {word}
    </span>
  );
}

/** A time as the visitor reads it; the exact time is in the title. */
export function Time({ at }: { at: string | undefined }) {
  if (!at) return <>—</>;
  return (
    <time dateTime={at} title={`${new Date(at).toLocaleString()} (${at})`}>
      {timeText(at)}
    </time>
  );
}

function timeText(at: string): string {
  if (timeStyle.value === "relative") return relative(at, now.value);
  if (timeStyle.value === "utc") return `${at.slice(0, 19).replace("T", " ")} UTC`;
  return new Date(at).toLocaleString();
}

export function Copy({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  async function copy() {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  }
  return (
    <button type="button" class="quiet small" onClick={copy} aria-label={`Copy ${label}`} title={`Copy ${label}`}>
      {copied ? "copied" : (
        <svg width="12" height="12" viewBox="0 0 12 12" fill="none" stroke="currentColor" aria-hidden="true">
          <rect x="4.5" y="4.5" width="7" height="7" rx="1" />
          <path d="M7.5 2.5v-1a1 1 0 0 0-1-1h-5a1 1 0 0 0-1 1v5a1 1 0 0 0 1 1h1" />
        </svg>
      )}
    </button>
  );
}

export function Id({ id, label = "id" }: { id: string; label?: string }) {
  return (
    <span class="id">
      <code title={id}>{shortId(id)}</code>
      <Copy text={id} label={label} />
    </span>
  );
}

/** Text of a model, a tool or a person, as text with its invisible characters. */
export function Text({ children }: { children: string }) {
  return <div class="text" dir="auto">{visible(children)}</div>;
}

export function agentOf(run: Run): string {
  const agent = (run as { agent?: unknown }).agent;
  if (typeof agent === "string") return agent;
  const { name, version } = (agent ?? {}) as { name?: string; version?: string };
  return name ? `${name}${version ? `@${version}` : ""}` : "";
}

/** An error in words, then its facts for a report. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const facts = error instanceof ApiError ? error : null;
  const title =
    facts?.status === 404 ? "Not in this project, or deleted."
    : facts?.status === 403 && facts.details.scope ? `This key lacks ${facts.details.scope.replace(/^.* /, "")}.`
    : messageOf(error);
  return (
    <div class="notice failed" role="alert">
      <strong dir="auto">{visible(title)}</strong>
      {facts && (
        <p class="meta">
          {facts.status} {facts.code}
          {facts.requestId && (
            <>
              {" "}· request <code>{facts.requestId}</code>
              <Copy text={facts.requestId} label="request id" />
            </>
          )}
        </p>
      )}
      {retry && <button type="button" onClick={retry}>Try again</button>}
    </div>
  );
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What a list shows when it has no rows. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {children && <div>{children}</div>}
    </div>
  );
}

export function Skeleton({ rows = 6 }: { rows?: number }) {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: rows }, () => <div />)}
    </div>
  );
}

/** Show the data; before it is there a skeleton, and after a failure the old data with its age. */
export function View<Data>({
  state,
  retry,
  children,
}: {
  state: Loaded<Data>;
  retry: () => void;
  children: (data: Data) => ComponentChildren;
}) {
  if (state.data === undefined) {
    return state.error ? <Failure error={state.error} retry={retry} /> : <Skeleton />;
  }
  return (
    <>
      {!!state.error && (
        <p class="notice stale" role="status">
          As of {new Date(state.at).toLocaleTimeString()}: {messageOf(state.error)}{" "}
          <button type="button" class="quiet" onClick={retry}>Try again</button>
        </p>
      )}
      {children(state.data)}
    </>
  );
}
