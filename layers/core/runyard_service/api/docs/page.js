// Shows openapi.json. All texts are set as text, never as HTML.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const base = location.pathname.replace(/(\/threads)?\/docs\/?$/, "");
const isThreads = location.pathname.includes("/threads/docs");
let spec;

function element(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children.filter((child) => child !== null));
  return node;
}

// Descriptions are Markdown with `code` and paragraphs.
function prose(text) {
  return (text || "").trim().split(/\n\s*\n/).filter(Boolean).map((paragraph) => {
    const parts = paragraph.split("`");
    return element("p", {}, ...parts.map((part, index) =>
      index % 2 ? element("code", { textContent: part }) : part));
  });
}

function resolve(value) {
  let found = value;
  while (found && found.$ref) {
    found = found.$ref.slice(2).split("/").reduce((part, name) => part[name], spec);
  }
  return found || {};
}

// Returns a schema as JSON-like text. A schema inside itself becomes its name.
function schemaText(schema, indent = "", seen = []) {
  const name = schema.$ref && schema.$ref.split("/").pop();
  if (name && seen.includes(name)) return name;
  const path = name ? [...seen, name] : seen;
  const found = resolve(schema);
  if (found.const !== undefined) return JSON.stringify(found.const);
  if (found.enum) return found.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choices = found.anyOf || found.oneOf;
  if (choices) return choices.map((one) => schemaText(one, indent, path)).join(" | ");
  if (found.allOf) return found.allOf.map((one) => schemaText(one, indent, path)).join(" & ");
  const type = [found.type || (found.properties ? "object" : "any")].flat().join(" | ");
  if (type.includes("array") && found.items) return `[${schemaText(found.items, indent, path)}]`;
  if (!found.properties) return found.format ? `${type} (${found.format})` : type;
  const required = found.required || [];
  const inner = `${indent}  `;
  const lines = Object.entries(found.properties).map(([field, value]) =>
    `${inner}${field}${required.includes(field) ? "" : "?"}: ${schemaText(value, inner, path)}`);
  return `{\n${lines.join(",\n")}\n${indent}}`;
}

function block(title, ...children) {
  return [element("h4", { textContent: title }), ...children];
}

function parametersOf(path, operation) {
  const all = [...(spec.paths[path].parameters || []), ...(operation.parameters || [])].map(resolve);
  if (!all.length) return [];
  const rows = all.map((parameter) => element("tr", {},
    element("td", {}, element("code", { textContent: parameter.name })),
    element("td", { textContent: `${parameter.in}${parameter.required ? ", required" : ""}` }),
    element("td", { textContent: schemaText(parameter.schema || {}) }),
    element("td", {}, ...prose(parameter.description))));
  return block("Parameters", element("table", {}, ...rows));
}

function contentOf(content) {
  return Object.entries(content || {}).flatMap(([type, media]) => [
    element("p", { className: "note", textContent: type }),
    element("pre", { textContent: media.schema ? schemaText(media.schema) : "" }),
  ]);
}

function responseOf([status, value]) {
  const response = resolve(value);
  return element("details", {},
    element("summary", { textContent: `${status} ${response.description || ""}` }),
    element("div", {}, ...contentOf(response.content)));
}

function curl(method, path, operation) {
  const body = resolve(operation.requestBody);
  const json = body.content && body.content["application/json"];
  const lines = [`curl -X ${method.toUpperCase()} ${location.origin}${base}${path}`];
  if (!(operation.security && !operation.security.length)) {
    lines.push('-H "Authorization: Bearer $ACCESS_KEY"');
  }
  if (json) {
    const example = json.example || (json.examples && Object.values(json.examples)[0].value) || {};
    lines.push('-H "Content-Type: application/json"', `-d '${JSON.stringify(example)}'`);
  }
  return element("pre", { textContent: lines.join(" \\\n  ") });
}

function operationOf({ method, path, operation }) {
  const body = resolve(operation.requestBody);
  const title = element("summary", {},
    element("span", { className: "method", textContent: method.toUpperCase() }),
    element("code", { textContent: path }), ` ${operation.summary || ""}`);
  const details = element("details", { id: operation.operationId || "" }, title);
  // The contents are built when they are opened first.
  details.addEventListener("toggle", () => details.append(element("div", {},
    ...prose(operation.description),
    ...parametersOf(path, operation),
    ...(body.content ? block("Body", ...contentOf(body.content)) : []),
    ...block("Responses", ...Object.entries(operation.responses).map(responseOf)),
    ...block("Example", curl(method, path, operation)))), { once: true });
  details.dataset.text = `${method} ${path} ${operation.summary || ""}`.toLowerCase();
  return details;
}

function operations() {
  return Object.entries(spec.paths)
    .filter(([path]) => !isThreads || path.startsWith("/threads/"))
    .flatMap(([path, item]) => METHODS.filter((method) => item[method])
      .map((method) => ({ method, path, operation: item[method] })));
}

function show() {
  const all = operations();
  document.getElementById("title").textContent =
    isThreads ? "Runyard Threads API" : `${spec.info.title} API`;
  const sections = spec.tags.flatMap((tag) => {
    const rows = all.filter(({ operation }) => (operation.tags || []).includes(tag.name));
    if (!rows.length) return [];
    return [element("section", {}, element("h2", { textContent: tag.name }),
      ...prose(tag.description), ...rows.map(operationOf))];
  });
  document.getElementById("content").replaceChildren(
    ...(isThreads ? [] : prose(spec.info.description)), ...sections);
}

document.getElementById("filter").addEventListener("input", (event) => {
  const filter = event.target.value.trim().toLowerCase();
  for (const row of document.querySelectorAll("details[data-text]")) {
    row.hidden = !row.dataset.text.includes(filter);
  }
});

fetch(`${base}/openapi.json`)
  .then((response) => response.json())
  .then((document_) => { spec = document_; show(); })
  .catch((error) => {
    document.getElementById("content").textContent = `openapi.json cannot be read: ${error.message}`;
  });
