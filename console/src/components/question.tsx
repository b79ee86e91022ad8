/** A question of a run and the form that answers it. */

import { useEffect, useState } from "preact/hooks";
import { ApiError, Conflict, type Runyard } from "runyard";

import { visible } from "../format.ts";
import { answerSummary, type Question } from "../log/timeline.ts";
import { can, client } from "../session.ts";
import { ArgumentField } from "./argument_field.tsx";
import { Failure, Text, Time } from "./basics.tsx";
import { Feedback } from "./feedback.tsx";

type Runs = Runyard["runs"];

interface Props {
  runId: string;
  question: Question;
  effect?: string | undefined;
  onAnswered?: () => void;
}

export function QuestionForm({ runId, question, effect, onAnswered }: Props) {
  const [isSending, setSending] = useState(false);
  const [error, setError] = useState<unknown>();
  useEffect(() => setError(undefined), [question.id]);

  async function send(answer: (runs: Runs, request_id: string) => Promise<void>): Promise<void> {
    setSending(true);
    setError(undefined);
    try {
      await answer(client.value.runs, question.id);
      onAnswered?.();
    } catch (failure) {
      setError(failure);
    } finally {
      setSending(false);
    }
  }

  if (question.state !== "open") {
    return (
      <p class="notice">
        {question.state === "expired" ? "This question has expired." : `Recorded: ${visible(answerSummary(question))}.`}
      </p>
    );
  }
  const fieldErrors = error instanceof ApiError ? error.details : {};
  return (
    <form class="question" onSubmit={event => event.preventDefault()} onKeyDown={sendByKey} aria-label={visible(question.prompt)}>
      {question.expiresAt && <p class="meta">Expires <Time at={question.expiresAt} />.</p>}
      {question.isApproval
        ? <Approval {...{ runId, question, effect, send, isSending, fieldErrors }} />
        : <Feedback {...{ runId, question, send, isSending, fieldErrors }} />}
      {error instanceof Conflict
        ? <NotFirst details={error.details} message={error.message} />
        : !!error && <Failure error={error} />}
    </form>
  );
}

/** Why the service takes no answer: another person was first, or the time is over. */
function NotFirst({ details, message }: { details: Readonly<Record<string, string>>; message: string }) {
  const { answered_by, answered_at, request_id } = details;
  return (
    <p class="notice stale" role="alert">
      Your answer was not recorded: {answered_by
        ? <><strong>{visible(answered_by)}</strong> answered <Time at={answered_at} />.</>
        : <>this request {visible(request_id ?? message)}.</>}
    </p>
  );
}

/** Ctrl+Enter sends the answer, or the decision that the form shows. */
function sendByKey(event: KeyboardEvent): void {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  (event.currentTarget as HTMLElement).querySelector<HTMLButtonElement>("button.primary, button.danger")?.click();
}

/** What both kinds of questions need. */
export interface PartProps {
  runId: string;
  question: Question;
  send: (answer: (runs: Runs, request_id: string) => Promise<void>) => Promise<void>;
  isSending: boolean;
  fieldErrors: Readonly<Record<string, string>>;
}

/** What the call will do comes first, and then what the agent says about it. */
function Approval({ runId, question, effect, send, isSending, fieldErrors }: PartProps & { effect?: string | undefined }) {
  const { params, editable, tool = "the tool" } = question;
  const [changes, setChanges] = useState<Record<string, unknown>>({});
  const [reason, setReason] = useState<string>();
  const changed = Object.keys(changes).length ? changes : undefined;
  const isInvalid = Object.values(changes).some(value => value === undefined);
  return (
    <>
      <p>Will call <strong>{visible(tool)}</strong>{effect && <span class="chip plain">{effect}</span>} with</p>
      <div class="fields">
        {Object.entries(params).map(([name, value]) => (
          <ArgumentField
            key={name}
            name={name}
            value={value}
            isEditable={editable.includes(name) && can("runs:write")}
            error={fieldErrors[`params.${name}`]}
            onChange={changed => setChanges(all => without({ ...all, [name]: changed }, params))}
          />
        ))}
      </div>
      <p class="meta">The agent asks:</p>
      <Text>{question.prompt}</Text>
      {!can("runs:write") ? <CannotAnswer /> : reason === undefined ? (
        <div class="actions">
          <button type="button" class="quiet" disabled={isSending} onClick={() => setReason("")}>Refuse…</button>
          <button
            type="button"
            class="primary"
            disabled={isSending || isInvalid}
            onClick={() => send((runs, request_id) => runs.approve(runId, { request_id, params: changed }))}
          >
            Approve {visible(tool)}{changed && " with changes"}
          </button>
        </div>
      ) : (
        <div class="refusal">
          <label>
            Why? The model reads this.
            <textarea rows={2} value={reason} onInput={event => setReason(event.currentTarget.value)} />
          </label>
          <div class="actions">
            <button type="button" class="quiet" onClick={() => setReason(undefined)}>Back</button>
            <button
              type="button"
              class="danger"
              disabled={isSending}
              onClick={() => send((runs, request_id) => runs.refuse(runId, { request_id, reason: reason || undefined }))}
            >
              Refuse {visible(tool)}
            </button>
          </div>
        </div>
      )}
    </>
  );
}

export function CannotAnswer() {
  return <p class="notice stale">This key lacks runs:write: it cannot answer.</p>;
}

/** Return the changes that differ from the arguments. */
function without(changes: Record<string, unknown>, params: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(changes).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(params[name])),
  );
}
