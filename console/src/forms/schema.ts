/** Fields of a form for a JSON Schema, and the value of what a person enters in them. */

export interface FormField {
  name: string;
  label: string;
  help: string;
  kind: "text" | "long" | "number" | "integer" | "boolean" | "choice" | "json";
  /** The values of a `choice`. */
  choices: unknown[];
  isRequired: boolean;
  /** The text of the schema's default value. */
  initial: string;
}

/** What is entered, by the names of the fields. */
export type Texts = Readonly<Record<string, string>>;

/** The value of a form, or what is wrong, by the names of the fields. */
export interface FormValue {
  value: Record<string, unknown>;
  issues: Record<string, string>;
}

type Schema = Record<string, unknown>;

const MAX_FIELDS = 40;
const MAX_CHOICES = 100;
const MAX_REFERENCES = 5;
const SHORT_TEXT = 120;
// These decide together about several fields, which a list of fields cannot show.
const COMBINATORS = ["$ref", "allOf", "anyOf", "oneOf", "if", "not", "dependentSchemas", "patternProperties"];

/** Return the fields of an object's schema, or null if only raw JSON can express its values. */
export function fieldsOf(schema: unknown): FormField[] | null {
  if (!isSchema(schema) || COMBINATORS.some(name => name in schema)) return null;
  const { type = "object", properties, required } = schema;
  if (type !== "object" || !isSchema(properties)) return null;
  const entries = Object.entries(properties);
  if (!entries.length || entries.length > MAX_FIELDS) return null;
  const names = Array.isArray(required) ? required : [];
  // A required value without a schema of its own cannot be entered in a field.
  if (names.some(name => !Object.hasOwn(properties, name))) return null;
  return entries.map(([name, property]) => fieldOf(name, resolved(property, schema), names.includes(name)));
}

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Follow references inside the schema, and take the value of an optional one. */
function resolved(property: unknown, root: Schema): Schema {
  let found: unknown = property;
  for (let count = 0; count < MAX_REFERENCES && isSchema(found); count++) {
    const { $ref, anyOf, ...rest } = found;
    if (typeof $ref === "string" && $ref.startsWith("#/")) {
      found = { ...(at(root, $ref) as object), ...rest };
    } else if (Array.isArray(anyOf)) {
      const values = anyOf.filter(each => !(isSchema(each) && each.type === "null"));
      if (values.length !== 1) return { title: rest.title, description: rest.description };
      found = { ...(isSchema(values[0]) ? values[0] : {}), ...rest };
    } else return found;
  }
  return {};
}

function at(root: Schema, reference: string): unknown {
  let found: unknown = root;
  for (const part of reference.slice(2).split("/")) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    found = isSchema(found) && Object.hasOwn(found, name) ? found[name] : undefined;
  }
  return isSchema(found) ? found : {};
}

function fieldOf(name: string, schema: Schema, isRequired: boolean): FormField {
  const values = Array.isArray(schema.enum) ? schema.enum : "const" in schema ? [schema.const] : [];
  const choices = values.length <= MAX_CHOICES ? values : [];
  const field = {
    name,
    label: typeof schema.title === "string" ? schema.title : name,
    help: typeof schema.description === "string" ? schema.description : "",
    kind: choices.length ? ("choice" as const) : kindOf(schema),
    choices,
    isRequired,
    initial: "",
  };
  return { ...field, initial: "default" in schema ? textOf(field, schema.default) : "" };
}

function kindOf(schema: Schema): FormField["kind"] {
  const types = [schema.type].flat().filter(type => type !== "null");
  const [type] = types;
  if (types.length !== 1) return "json";
  if (type === "string") {
    const isShort = "format" in schema || "pattern" in schema || Number(schema.maxLength) <= SHORT_TEXT;
    return isShort ? "text" : "long";
  }
  return type === "number" || type === "integer" || type === "boolean" ? type : "json";
}

/** Return a value as the text of its field. */
export function textOf({ kind, choices }: Pick<FormField, "kind" | "choices">, value: unknown): string {
  if (value === undefined) return "";
  if (kind === "choice") return String(choices.findIndex(choice => isSame(choice, value)) + 1 || "");
  if (typeof value === "string" && (kind === "text" || kind === "long")) return value;
  return JSON.stringify(value) ?? "";
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Return the texts of the fields for a value, or of the defaults. */
export function textsOf(fields: FormField[], value?: Record<string, unknown>): Texts {
  return Object.fromEntries(
    fields.map(field => [
      field.name,
      value && Object.hasOwn(value, field.name) ? textOf(field, value[field.name]) : value ? "" : field.initial,
    ]),
  );
}

/** Return the value of the form. An empty field is left out. */
export function valueOf(fields: FormField[], texts: Texts): FormValue {
  const values: [string, unknown][] = [];
  const issues: [string, string][] = [];
  for (const field of fields) {
    const text = Object.hasOwn(texts, field.name) ? texts[field.name]! : "";
    if (text.trim() === "") {
      if (field.isRequired) issues.push([field.name, "is required"]);
      continue;
    }
    const { value, issue } = readText(field, text);
    if (issue) issues.push([field.name, issue]);
    else values.push([field.name, value]);
  }
  return { value: Object.fromEntries(values), issues: Object.fromEntries(issues) };
}

function readText({ kind, choices }: FormField, text: string): { value?: unknown; issue?: string } {
  if (kind === "text" || kind === "long") return { value: text };
  if (kind === "choice") return { value: choices[Number(text) - 1] };
  if (kind === "boolean") return { value: text === "true" };
  if (kind === "json") return readJson(text);
  const value = Number(text);
  if (!Number.isFinite(value)) return { issue: "must be a number" };
  return kind === "integer" && !Number.isInteger(value) ? { issue: "must be an integer" } : { value };
}

/** Return the value of a JSON text, or what is wrong. */
export function readJson(text: string): { value?: unknown; issue?: string } {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { issue: `must be JSON: ${(error as Error).message}` };
  }
}

/** Return the object of a JSON text, or what is wrong under the name "". */
export function readObject(text: string): FormValue {
  const { value, issue } = readJson(text.trim() || "{}");
  if (issue) return { value: {}, issues: { "": issue } };
  if (!isSchema(value)) return { value: {}, issues: { "": "must be a JSON object" } };
  return { value, issues: {} };
}
