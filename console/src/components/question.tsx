/** A question of a run and the form that answers it. */

import { useEffect, useState } from "preact/hooks";
import { ApiError, Conflict, type Runyard } from "runyard";

import { visible } from "../format.ts";
import { answerSummary, type Question } from "../log/timeline.ts";
import { client } from "../session.ts";
import { Failure, Text, Time } from "./basics.tsx";
import { Json } from "./json.tsx";

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
    <form class="question" onSubmit={event => event.preventDefault()} aria-label={visible(question.prompt)}>
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

interface PartProps {
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
          <Field
            key={name}
            name={name}
            value={value}
            isEditable={editable.includes(name)}
            error={fieldErrors[`params.${name}`]}
            onChange={changed => setChanges(all => without({ ...all, [name]: changed }, params))}
          />
        ))}
      </div>
      <p class="meta">The agent asks:</p>
      <Text>{question.prompt}</Text>
      {reason === undefined ? (
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

/** Return the changes that differ from the arguments. */
function without(changes: Record<string, unknown>, params: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(changes).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(params[name])),
  );
}

interface FieldProps {
  name: string;
  value: unknown;
  isEditable: boolean;
  error: string | undefined;
  /** Called with undefined while the text is not a value of the same type. */
  onChange: (value: unknown) => void;
}

function Field({ name, value, isEditable, error, onChange }: FieldProps) {
  const [text, setText] = useState(() => (typeof value === "string" ? value : JSON.stringify(value)));
  const entered = enteredValue(text, value);
  if (!isEditable) {
    return (
      <div class="field">
        <span class="label">{visible(name)}</span>
        <Json value={value} label={name} />
      </div>
    );
  }
  const issue = entered === undefined ? `must be a ${typeof value}` : error;
  const isChanged = entered !== undefined && JSON.stringify(entered) !== JSON.stringify(value);
  return (
    <label class="field">
      <span class="label">{visible(name)}</span>
      {typeof value === "boolean" ? (
        <input
          type="checkbox"
          checked={entered === true}
          onChange={event => {
            setText(String(event.currentTarget.checked));
            onChange(event.currentTarget.checked);
          }}
        />
      ) : (
        <input
          value={text}
          inputMode={typeof value === "number" ? "decimal" : "text"}
          aria-invalid={!!issue}
          onInput={event => {
            setText(event.currentTarget.value);
            onChange(enteredValue(event.currentTarget.value, value));
          }}
        />
      )}
      {isChanged && <span class="meta">was {visible(JSON.stringify(value))}</span>}
      {issue && <span class="issue">{visible(issue)}</span>}
    </label>
  );
}

/** Return the entered text as a value of the same type, or undefined. */
function enteredValue(text: string, like: unknown): unknown {
  if (typeof like === "string") return text;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === typeof like || like === null ? value : undefined;
  } catch {
    return undefined;
  }
}

function Feedback({ runId, question, send, isSending, fieldErrors }: PartProps) {
  const { choices, form, url } = question.params as {
    choices?: unknown[];
    form?: { properties?: Record<string, Property>; required?: string[] };
    url?: string;
  };
  const [answer, setAnswer] = useState<unknown>(form ? {} : undefined);
  const isComplete = form
    ? (form.required ?? []).every(name => (answer as Record<string, unknown>)[name] !== undefined)
    : answer !== undefined && answer !== "";
  return (
    <>
      <p class="meta">The agent asks:</p>
      <Text>{question.prompt}</Text>
      {url && /^https?:\/\/[^/]/.test(url) && (
        <p>Open <a href={url} target="_blank" rel="noreferrer noopener">{visible(url)}</a> first.</p>
      )}
      {choices ? (
        <fieldset>
          <legend class="hidden">Answer</legend>
          {choices.map(choice => (
            <label class="choice" key={JSON.stringify(choice)}>
              <input type="radio" name={question.id} onChange={() => setAnswer(choice)} />
              {visible(String(choice))}
            </label>
          ))}
        </fieldset>
      ) : form?.properties ? (
        <div class="fields">
          {Object.entries(form.properties).map(([name, property]) => (
            <FormField
              key={name}
              name={name}
              property={property}
              isRequired={!!form.required?.includes(name)}
              error={fieldErrors[`feedback.${name}`]}
              onChange={value => setAnswer((all: any) => ({ ...all, [name]: value }))}
            />
          ))}
        </div>
      ) : (
        <label>
          <span class="hidden">Answer</span>
          <textarea rows={3} onInput={event => setAnswer(event.currentTarget.value)} />
        </label>
      )}
      {fieldErrors.feedback && <p class="issue">{visible(fieldErrors.feedback)}</p>}
      <div class="actions">
        <button type="button" class="primary" disabled={isSending || !isComplete} onClick={() => send((runs, request_id) => runs.answer(runId, answer, { request_id }))}>
          Send answer
        </button>
      </div>
    </>
  );
}

interface Property {
  type?: string;
  title?: string;
  description?: string;
  enum?: unknown[];
}

interface FormFieldProps {
  name: string;
  property: Property;
  isRequired: boolean;
  error: string | undefined;
  onChange: (value: unknown) => void;
}

function FormField({ name, property, isRequired, error, onChange }: FormFieldProps) {
  const read = (text: string) => {
    if (text === "") return undefined;
    if (property.type === "number" || property.type === "integer") return Number(text);
    if (property.type === "string" || !property.type) return text;
    return enteredValue(text, property.type === "array" ? [] : {}) ?? text;
  };
  return (
    <label class="field">
      <span class="label">{visible(property.title ?? name)}{isRequired && " *"}</span>
      {property.enum ? (
        <select onChange={event => onChange(property.enum![event.currentTarget.selectedIndex - 1])}>
          <option value="">–</option>
          {property.enum.map(value => <option key={String(value)}>{visible(String(value))}</option>)}
        </select>
      ) : property.type === "boolean" ? (
        <input type="checkbox" onChange={event => onChange(event.currentTarget.checked)} />
      ) : (
        <input
          inputMode={property.type === "number" || property.type === "integer" ? "decimal" : "text"}
          onInput={event => onChange(read(event.currentTarget.value))}
        />
      )}
      {property.description && <span class="meta">{visible(property.description)}</span>}
      {error && <span class="issue">{visible(error)}</span>}
    </label>
  );
}
