/** A form for the values of a JSON Schema: fields where they can express it, otherwise raw JSON. */

import { useMemo, useState } from "preact/hooks";

import { visible } from "../format.ts";
import { fieldsOf, readObject, textsOf, valueOf, type FormField, type FormValue, type Texts } from "./schema.ts";

export interface SchemaFormState {
  fields: FormField[] | null;
  isRaw: boolean;
  texts: Texts;
  raw: string;
  result: FormValue;
  setText: (name: string, text: string) => void;
  setRaw: (text: string) => void;
  /** Change between fields and raw JSON; what is entered stays. */
  toggle: () => void;
}

/** Return the state of a form for the schema, filled with `value`. */
export function useSchemaForm(schema: unknown, value?: Record<string, unknown>): SchemaFormState {
  const fields = useMemo(() => fieldsOf(schema), [schema]);
  const fits = !value || !!fields && Object.keys(value).every(name => fields.some(field => field.name === name));
  const [isRaw, setIsRaw] = useState(!fields || !fits);
  const [texts, setTexts] = useState<Texts>(() => textsOf(fields ?? [], value));
  const [raw, setRaw] = useState(() => JSON.stringify(value ?? {}, null, 2));
  const result = isRaw || !fields ? readObject(raw) : valueOf(fields, texts);
  function toggle(): void {
    if (!isRaw) setRaw(JSON.stringify(result.value, null, 2));
    else if (fields) setTexts(textsOf(fields, result.value));
    setIsRaw(!isRaw);
  }
  const setText = (name: string, text: string) => setTexts(all => ({ ...all, [name]: text }));
  return { fields, isRaw: isRaw || !fields, texts, raw, result, setText, setRaw, toggle };
}

interface Props {
  form: SchemaFormState;
  /** What the service says about the fields, by their names; "" is the whole value. */
  errors: Readonly<Record<string, string>>;
  /** Show what is missing, after the first attempt to send. */
  isChecked: boolean;
}

export function SchemaForm({ form, errors, isChecked }: Props) {
  const { fields, isRaw, texts, raw, result, setText, setRaw, toggle } = form;
  const own: Record<string, string> = isChecked ? result.issues : {};
  const rest = Object.entries(errors).filter(([name]) => isRaw || !fields!.some(field => field.name === name));
  return (
    <div class="schema-form">
      {isRaw ? (
        <label class="field wide">
          <span class="label">JSON</span>
          <textarea class="code" rows={8} spellcheck={false} value={raw} aria-invalid={!!result.issues[""]} onInput={event => setRaw(event.currentTarget.value)} />
          {result.issues[""] && <span class="issue">{visible(result.issues[""])}</span>}
        </label>
      ) : (
        <div class="fields">
          {fields!.map(field => (
            <SchemaField key={field.name} field={field} text={texts[field.name] ?? ""} issue={errors[field.name] ?? own[field.name]} onTyped={text => setText(field.name, text)} />
          ))}
        </div>
      )}
      {rest.map(([name, issue]) => <p class="issue" key={name}>{visible(`${name} ${issue}`.trim())}</p>)}
      {fields && (
        <button type="button" class="quiet small" onClick={toggle}>{isRaw ? "Enter it in fields" : "Enter it as JSON"}</button>
      )}
    </div>
  );
}

interface FieldProps {
  field: FormField;
  text: string;
  issue: string | undefined;
  onTyped: (text: string) => void;
}

function SchemaField({ field, text, issue, onTyped }: FieldProps) {
  return (
    <label class="field">
      <span class="label">
        {visible(field.label)}{field.isRequired && <span aria-label="required"> *</span>}
      </span>
      <Input {...{ field, text, issue, onTyped }} />
      {field.help && <span class="meta">{visible(field.help)}</span>}
      {issue && <span class="issue">{visible(issue)}</span>}
    </label>
  );
}

function Input({ field: { kind, choices }, text, issue, onTyped }: FieldProps) {
  const onInput = (event: Event) => onTyped((event.currentTarget as HTMLInputElement).value);
  const common = { value: text, onInput, "aria-invalid": !!issue };
  if (kind === "choice") {
    return (
      <select value={text} onChange={onInput}>
        <option value="">–</option>
        {choices.map((choice, index) => (
          <option key={index} value={String(index + 1)}>{visible(typeof choice === "string" ? choice : JSON.stringify(choice))}</option>
        ))}
      </select>
    );
  }
  if (kind === "boolean") {
    return (
      <select value={text} onChange={onInput}>
        <option value="">–</option>
        <option value="true">yes</option>
        <option value="false">no</option>
      </select>
    );
  }
  if (kind === "long") return <textarea rows={2} {...common} />;
  if (kind === "json") return <textarea class="code" rows={3} spellcheck={false} placeholder="JSON" {...common} />;
  return <input inputMode={kind === "text" ? "text" : "decimal"} {...common} />;
}
