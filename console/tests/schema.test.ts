import assert from "node:assert/strict";
import { test } from "node:test";

import { fieldsOf, readObject, textsOf, valueOf } from "../src/forms/schema.ts";

const TICKET = {
  type: "object",
  required: ["subject", "amount"],
  properties: {
    subject: { type: "string", maxLength: 100, title: "Subject" },
    body: { type: "string" },
    amount: { type: "number" },
    count: { type: "integer", default: 3 },
    isUrgent: { type: "boolean" },
    level: { enum: ["low", "high", 7] },
    tags: { type: "array", items: { type: "string" } },
  },
};

test("each type has its field", () => {
  const kinds = fieldsOf(TICKET)!.map(({ name, kind }) => [name, kind]);
  assert.deepEqual(Object.fromEntries(kinds), {
    subject: "text", body: "long", amount: "number", count: "integer", isUrgent: "boolean", level: "choice", tags: "json",
  });
});

test("the entered texts become values of their types, and empty fields are left out", () => {
  const fields = fieldsOf(TICKET)!;
  const texts = { ...textsOf(fields), subject: "Help", amount: "4.5", isUrgent: "false", level: "3", tags: '["a"]' };
  assert.deepEqual(valueOf(fields, texts), {
    value: { subject: "Help", amount: 4.5, count: 3, isUrgent: false, level: 7, tags: ["a"] },
    issues: {},
  });
});

test("wrong and missing texts are issues of their fields", () => {
  const fields = fieldsOf(TICKET)!;
  const { issues } = valueOf(fields, { amount: "many", count: "1.5", tags: "[" });
  assert.deepEqual(Object.keys(issues), ["subject", "amount", "count", "tags"]);
  assert.equal(issues.amount, "must be a number");
});

test("a value goes through its texts and back", () => {
  const fields = fieldsOf(TICKET)!;
  const value = { subject: "Help", amount: 0, isUrgent: true, level: "high", tags: [] };
  assert.deepEqual(valueOf(fields, textsOf(fields, value)).value, value);
});

test("optional values and references of generated schemas have fields", () => {
  const fields = fieldsOf({
    properties: {
      note: { anyOf: [{ type: "string", maxLength: 10 }, { type: "null" }], default: null },
      side: { $ref: "#/$defs/Side" },
      either: { anyOf: [{ type: "string" }, { type: "integer" }] },
      nullable: { type: ["integer", "null"] },
    },
    $defs: { Side: { enum: ["here", "there"] } },
  })!;
  assert.deepEqual(fields.map(({ kind }) => kind), ["text", "choice", "json", "integer"]);
});

// A schema that fields cannot show takes raw JSON; none of them is an error.
const ODD: unknown[] = [
  undefined, null, true, false, 0, "object", [], {}, { type: "array" }, { type: ["object", "null"] },
  { type: "object" }, { properties: null }, { properties: [] }, { properties: {} }, { properties: "x" },
  { properties: { a: true } }, { properties: { a: false } }, { properties: { a: null } }, { properties: { a: [] } },
  { properties: { a: {} } }, { properties: { a: { type: [] } } }, { properties: { a: { type: 7 } } },
  { properties: { a: { enum: [] } } }, { properties: { a: { enum: "x" } } }, { properties: { a: { enum: [null, {}, []] } } },
  { properties: { a: { const: null } } }, { properties: { a: { $ref: "#/properties/a" } } },
  { properties: { a: { $ref: "#/$defs/none" } } }, { properties: { a: { $ref: "https://example.com/x" } } },
  { properties: { a: { $ref: "#/$defs/__proto__" } } }, { properties: { a: { anyOf: [] } } },
  { properties: { a: { anyOf: "x" } } }, { properties: { a: { anyOf: [{ type: "null" }] } } },
  { properties: { a: { type: "string" } }, required: ["b"] }, { properties: { a: { type: "string" } }, required: "a" },
  { properties: { a: { type: "string", title: 7, description: {}, default: { b: 1 } } } },
  JSON.parse('{"properties": {"__proto__": {"type": "string"}, "constructor": {"type": "integer"}}}'),
  { oneOf: [{ properties: { a: {} } }, { properties: { b: {} } }] },
  { properties: Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`p${at}`, { type: "string" }])) },
  { properties: { a: { enum: Array.from({ length: 5000 }, (_, at) => at) } } },
];

test("odd schemas have fields or raw JSON, and never fail", () => {
  assert.ok(ODD.length >= 30);
  for (const schema of ODD) {
    const fields = fieldsOf(schema);
    if (!fields) continue;
    for (const text of ["", "x", "1", "true", "{}", "[]", "999"]) {
      const texts = Object.fromEntries(fields.map(({ name }) => [name, text]));
      const { value } = valueOf(fields, texts);
      assert.equal(typeof JSON.stringify(value), "string");
      textsOf(fields, value);
    }
  }
});

test("the name __proto__ is an ordinary field", () => {
  const fields = fieldsOf(JSON.parse('{"properties": {"__proto__": {"type": "string"}}}'))!;
  assert.equal(JSON.stringify(valueOf(fields, JSON.parse('{"__proto__": "x"}')).value), '{"__proto__":"x"}');
});

test("raw JSON must be an object", () => {
  assert.deepEqual(readObject(""), { value: {}, issues: {} });
  assert.deepEqual(readObject('{"a": 1}').value, { a: 1 });
  assert.equal(readObject("[1]").issues[""], "must be a JSON object");
  assert.match(readObject("{").issues[""]!, /^must be JSON/);
});
