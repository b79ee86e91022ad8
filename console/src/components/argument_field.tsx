/** An argument of a call that waits for an approval. */

import { useState } from "preact/hooks";

import { visible } from "../format.ts";
import { Json } from "./json.tsx";

interface FieldProps {
  name: string;
  value: unknown;
  isEditable: boolean;
  error: string | undefined;
  /** Called with undefined while the text is not a value of the same type. */
  onChange: (value: unknown) => void;
}

export function ArgumentField({ name, value, isEditable, error, onChange }: FieldProps) {
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
