/** Start a run of an agent with entered input. */

import { useState } from "preact/hooks";
import { ApiError, type Agent } from "runyard";

import { Failure } from "../../components/basics.tsx";
import { SchemaForm, useSchemaForm } from "../../forms/schema_form.tsx";
import { client, lockIfRefused } from "../../session.ts";

interface Props {
  agent: Pick<Agent, "name" | "version" | "input_schema">;
  /** What the form is filled with. */
  input?: Record<string, unknown> | undefined;
  title?: string;
  onStarted: (runId: string) => void;
}

export function TryIt({ agent, input, title = "Try it", onStarted }: Props) {
  const form = useSchemaForm(agent.input_schema, input);
  const [isChecked, setChecked] = useState(false);
  const [isSending, setSending] = useState(false);
  const [error, setError] = useState<unknown>();

  async function start(event: Event): Promise<void> {
    event.preventDefault();
    setChecked(true);
    setError(undefined);
    const { value, issues } = form.result;
    if (Object.keys(issues).length || isSending) return;
    setSending(true);
    try {
      const options = { agent: `${agent.name}@${agent.version}`, wait: false };
      onStarted((await client.value.runs.create(value, options)).id);
    } catch (failure) {
      lockIfRefused(failure);
      setError(failure);
    } finally {
      setSending(false);
    }
  }

  const errors = error instanceof ApiError ? inputErrors(error) : {};
  return (
    <form class="card try" onSubmit={start} onKeyDown={sendByKey} aria-label={title} noValidate>
      <h2>{title}</h2>
      <SchemaForm {...{ form, errors, isChecked }} />
      {!!error && !Object.keys(errors).length && <Failure error={error} />}
      <div class="actions">
        <button class="primary" disabled={isSending}>{isSending ? "Starting…" : "Start run"}</button>
      </div>
    </form>
  );
}

/** Return what the service says about the input, by the names of the fields. */
function inputErrors({ details }: ApiError): Record<string, string> {
  const found = Object.entries(details).filter(([name]) => name === "input" || name.startsWith("input."));
  return Object.fromEntries(found.map(([name, issue]) => [name.replace(/^input\.?/, ""), issue]));
}

function sendByKey(event: KeyboardEvent): void {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  (event.currentTarget as HTMLFormElement).requestSubmit();
}
