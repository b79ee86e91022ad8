/** The answer to a question that is not an approval: a choice, a form, or a text. */

import { useState } from "preact/hooks";

import { SchemaForm, useSchemaForm } from "../forms/schema_form.tsx";
import { visible } from "../format.ts";
import { can } from "../session.ts";
import { Text } from "./basics.tsx";
import { CannotAnswer, type PartProps } from "./question.tsx";

export function Feedback(props: PartProps) {
  const { prompt, params } = props.question;
  const { choices, form, url } = params as { choices?: unknown[]; form?: unknown; url?: string };
  return (
    <>
      <p class="meta">The agent asks:</p>
      <Text>{prompt}</Text>
      {url && /^https?:\/\/[^/]/.test(url) && (
        <p>Open <a href={url} target="_blank" rel="noreferrer noopener">{visible(url)}</a> first.</p>
      )}
      {!can("runs:write") ? <CannotAnswer />
        : form ? <FormAnswer {...props} schema={form} />
        : choices ? <Choice {...props} choices={choices} />
        : <TextAnswer {...props} />}
    </>
  );
}

function FormAnswer({ runId, send, isSending, fieldErrors, schema }: PartProps & { schema: unknown }) {
  const form = useSchemaForm(schema);
  const [isChecked, setChecked] = useState(false);
  const errors = Object.fromEntries(
    Object.entries(fieldErrors)
      .filter(([name]) => name.startsWith("feedback"))
      .map(([name, issue]) => [name.replace(/^feedback\.?/, ""), issue]),
  );
  function submit(): void {
    setChecked(true);
    const { value, issues } = form.result;
    if (!Object.keys(issues).length) void send((runs, request_id) => runs.answer(runId, value, { request_id }));
  }
  return (
    <>
      <SchemaForm {...{ form, errors, isChecked }} />
      <SendButton isDisabled={isSending} onSend={submit} />
    </>
  );
}

function Choice({ runId, question, send, isSending, fieldErrors, choices }: PartProps & { choices: unknown[] }) {
  const [answer, setAnswer] = useState<unknown>();
  return (
    <>
      <fieldset>
        <legend class="hidden">Answer</legend>
        {choices.map(choice => (
          <label class="choice" key={JSON.stringify(choice)}>
            <input type="radio" name={question.id} onChange={() => setAnswer(choice)} />
            {visible(String(choice))}
          </label>
        ))}
      </fieldset>
      {fieldErrors.feedback && <p class="issue">{visible(fieldErrors.feedback)}</p>}
      <SendButton
        isDisabled={isSending || answer === undefined}
        onSend={() => send((runs, request_id) => runs.answer(runId, answer, { request_id }))}
      />
    </>
  );
}

function TextAnswer({ runId, send, isSending, fieldErrors }: PartProps) {
  const [answer, setAnswer] = useState("");
  return (
    <>
      <label>
        <span class="hidden">Answer</span>
        <textarea rows={3} value={answer} onInput={event => setAnswer(event.currentTarget.value)} />
      </label>
      {fieldErrors.feedback && <p class="issue">{visible(fieldErrors.feedback)}</p>}
      <SendButton
        isDisabled={isSending || !answer.trim()}
        onSend={() => send((runs, request_id) => runs.answer(runId, answer, { request_id }))}
      />
    </>
  );
}

function SendButton({ isDisabled, onSend }: { isDisabled: boolean; onSend: () => void }) {
  return (
    <div class="actions">
      <button type="button" class="primary" disabled={isDisabled} onClick={onSend}>Send answer</button>
    </div>
  );
}
