/** What waits for a person, oldest first. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import { Empty, Id, Time, View } from "../components/basics.tsx";
import { QuestionForm } from "../components/question.tsx";
import { isTyping } from "../components/shortcuts.tsx";
import { count, visible } from "../format.ts";
import { inboxCount } from "../inbox_count.ts";
import type { Question } from "../log/timeline.ts";
import { usePolled } from "../polling.ts";
import { href } from "../router.ts";
import { client } from "../session.ts";

/** An open request as the list has it. Older services leave out some fields. */
export interface OpenRequest {
  id: string;
  run_id: string;
  type: string;
  prompt: string;
  params: Record<string, unknown>;
  editable_params: string[];
  expires_at?: string;
  created_at?: string;
  agent?: string | { name: string };
  tool?: { name: string; effect?: string };
  user_id?: string;
}

export function InboxPage() {
  const [state, refresh] = usePolled("inbox", signal =>
    client.value.inputRequests.list({}, { signal }), ({ data }) => data.length > 0);
  const [opened, setOpened] = useState("");
  const [requests, isGone] = useOpened((state.value.data?.data ?? []) as unknown as OpenRequest[], opened);
  function leave(): void {
    setOpened("");
    refresh();
  }

  const total = state.value.data?.pagination.total_count;
  useEffect(() => {
    if (total !== undefined) inboxCount.value = total;
  }, [total]);
  // Not after the next paint: a key may come before it.
  useLayoutEffect(() => {
    function onKey(event: KeyboardEvent): void {
      if (isTyping(event)) return;
      const step = { j: 1, k: -1 }[event.key];
      if (!step || !requests.length) return;
      const at = requests.findIndex(({ id }) => id === opened);
      setOpened(requests[Math.min(requests.length - 1, Math.max(0, at + step))]!.id);
    }
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [requests, opened]);

  return (
    <>
      <header class="page-head">
        <h1>Inbox</h1>
        <span class="meta">{total !== undefined && count(total)}</span>
        <span class="spacer" />
        <span class="meta keys"><kbd>j</kbd> <kbd>k</kbd> next, previous</span>
      </header>
      <View state={state.value} retry={refresh}>
        {() =>
          requests.length ? (
            <ol class="inbox">
              {requests.map(request => (
                <li key={request.id} class={request.id === opened ? "card wait" : ""}>
                  <RequestRow request={request} isOpen={request.id === opened} onToggle={() => setOpened(request.id === opened ? "" : request.id)} />
                  {request.id === opened && isGone && (
                    <p class="notice stale" role="status">
                      This does not wait any more: it was answered, it has expired, or its run has ended.{" "}
                      <button type="button" class="quiet" onClick={leave}>Close</button>
                    </p>
                  )}
                  {request.id === opened && (
                    <QuestionForm runId={request.run_id} question={questionOf(request)} effect={request.tool?.effect} onAnswered={leave} />
                  )}
                </li>
              ))}
            </ol>
          ) : (
            <Empty title="Nothing waits for a person.">A run that asks or wants an approval appears here.</Empty>
          )}
      </View>
    </>
  );
}

/** Return the requests with the opened one, which stays until its reader closes it, and whether it is gone. */
function useOpened(listed: OpenRequest[], opened: string): [OpenRequest[], boolean] {
  const last = useRef<[at: number, OpenRequest]>(null);
  const at = listed.findIndex(({ id }) => id === opened);
  if (at >= 0) last.current = [at, listed[at]!];
  const isGone = at < 0 && last.current?.[1].id === opened;
  return [isGone ? listed.toSpliced(last.current![0], 0, last.current![1]) : listed, isGone];
}

interface RowProps {
  request: OpenRequest;
  isOpen: boolean;
  onToggle: () => void;
}

function RequestRow({ request, isOpen, onToggle }: RowProps) {
  return (
    <div class="request-row">
      <button type="button" class="request" aria-expanded={isOpen} onClick={onToggle}>
        <span class="shape wait" aria-hidden="true">◐</span>
        <strong>{visible(request.tool?.name ?? (request.type === "approval_request" ? "approval" : "question"))}</strong>
        <span class="summary" dir="auto">{visible(request.prompt)}</span>
      </button>
      <span class="meta">
        {request.user_id && visible(request.user_id)} {request.created_at && <>asked <Time at={request.created_at} /></>}
        {request.expires_at && <> · expires <Time at={request.expires_at} /></>}
      </span>
      <a href={href(`runs/${request.run_id}`)}><Id id={request.run_id} label="run id" /></a>
    </div>
  );
}

function questionOf(request: OpenRequest): Question {
  return {
    id: request.id,
    isApproval: request.type === "approval_request",
    prompt: request.prompt,
    params: request.params,
    editable: request.editable_params,
    state: "open",
    ...(request.tool && { tool: request.tool.name }),
    ...(request.expires_at && { expiresAt: request.expires_at }),
  };
}
