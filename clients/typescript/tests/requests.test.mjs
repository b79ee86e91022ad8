import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";

import {
  ApiError,
  Conflict,
  ConnectionLost,
  KeyRefused,
  NotFound,
  RateLimited,
  Runyard,
} from "runyard";

import { failure, json, KEY, RUN, serve } from "./server.mjs";

const created = { data: { id: RUN, status: "completed", output: { content: "hi" } } };

for (const status of [429, 502, 503, 504]) {
  test(`a ${status} is retried twice under one Idempotency-Key`, async t => {
    const { url, requests } = await serve(t, (_, response, count) =>
      count < 2 ? json(response, status, {}, { "retry-after": "0" }) : json(response, 200, created),
    );
    const run = await new Runyard({ url, key: KEY }).runs.create({ text: "hi" });
    assert.equal(run.status, "completed");
    const keys = requests.map(request => request.headers["idempotency-key"]);
    assert.match(keys[0], /^[0-9a-f]{32}$/);
    assert.deepEqual(keys, [keys[0], keys[0], keys[0]]);
    assert.deepEqual(JSON.parse(requests[0].text), { input: { text: "hi" } });
  });
}

test("a third failure is thrown", async t => {
  const body = { error: { code: "unavailable", message: "Service Unavailable" } };
  const { url, requests } = await serve(t, (_, response) => json(response, 503, body));
  const error = await failure(new Runyard({ url, key: KEY }).runs.get(RUN));
  assert.deepEqual([error.constructor, error.status, error.code], [ApiError, 503, "unavailable"]);
  assert.equal(requests.length, 3);
});

test("a request without an Idempotency-Key that changes something is sent once", async t => {
  const { url, requests } = await serve(t, (request, response) =>
    request.method === "PATCH" ? request.socket.destroy() : json(response, 503, {}),
  );
  const ry = new Runyard({ url, key: KEY });
  await failure(ry.runs.delete(RUN));
  assert.equal((await failure(ry.threads.update(RUN, { title: "x" }))).name, "ConnectionLost");
  assert.equal(requests.length, 2);
});

test("each call has a key of its own, or the key of the caller", async t => {
  const { url, requests } = await serve(t, (_, response) => json(response, 200, created));
  const ry = new Runyard({ url, key: KEY });
  await ry.runs.create({ text: "hi" });
  await ry.runs.create({ text: "hi" });
  await ry.runs.create({ text: "hi" }, { idempotencyKey: "order-4812" });
  const keys = requests.map(request => request.headers["idempotency-key"]);
  assert.equal(new Set(keys).size, 3);
  assert.equal(keys[2], "order-4812");
});

test("a wait of more than a minute is left to the caller", async t => {
  const { url, requests } = await serve(t, (_, response) =>
    json(response, 429, {}, { "retry-after": "61" }),
  );
  const error = await failure(new Runyard({ url, key: KEY }).runs.get(RUN));
  assert.deepEqual([error.constructor, error.retryAfter], [RateLimited, 61]);
  assert.equal(requests.length, 1);
});

test("a date in Retry-After is understood", async t => {
  const { url } = await serve(t, (_, response) =>
    json(response, 503, {}, { "retry-after": new Date(Date.now() + 120_000).toUTCString() }),
  );
  const { retryAfter } = await failure(new Runyard({ url, key: KEY }).runs.get(RUN));
  assert.ok(retryAfter > 110 && retryAfter <= 120);
});

test("a response that breaks in its body is a lost connection, and is retried", async t => {
  const { url } = await serve(t, (_, response, count) => {
    if (count) return json(response, 200, created);
    response.writeHead(200, { "content-length": "100" });
    response.write("{");
    setImmediate(() => response.destroy());
  });
  assert.equal((await new Runyard({ url, key: KEY }).runs.get(RUN)).id, RUN);
});

test("each status has its error", async t => {
  const details = { request: "was already answered", answered_by: "maria" };
  const { url } = await serve(t, (request, response) => {
    const status = Number(request.url.split("/").at(-1));
    const error = { code: `code_${status}`, message: "Phrase", details };
    json(response, status, { error }, { "x-request-id": "req-1" });
  });
  const ry = new Runyard({ url, key: KEY });
  const names = { 400: "ApiError", 401: "KeyRefused", 404: "NotFound", 409: "Conflict" };
  for (const [status, name] of Object.entries(names)) {
    assert.equal((await failure(ry.runs.get(status))).name, name);
  }
  const classes = { 400: ApiError, 401: KeyRefused, 403: KeyRefused, 404: NotFound, 409: Conflict };
  for (const [status, ErrorClass] of Object.entries(classes)) {
    const error = await failure(ry.runs.get(status));
    assert.equal(error.constructor, ErrorClass);
    assert.deepEqual(error.details, details);
    assert.deepEqual([error.code, error.requestId], [`code_${status}`, "req-1"]);
    assert.match(error.message, /request: was already answered/);
  }
});

test("the errors of the Threads API have the same fields", async t => {
  const body = { code: "threads.not_found", message: "No thread.", trace_id: "ab".repeat(16) };
  const { url } = await serve(t, (_, response) => json(response, 404, body));
  const error = await failure(new Runyard({ url, key: KEY }).threads.get("x"));
  assert.equal(error.constructor, NotFound);
  assert.deepEqual([error.code, error.requestId], [body.code, body.trace_id]);
});

test("a page of a proxy is an ApiError too", async t => {
  const { url } = await serve(t, (_, response) => {
    response.writeHead(400, { "content-type": "text/html" });
    response.end("<h1>Bad</h1>");
  });
  assert.equal((await failure(new Runyard({ url, key: KEY }).runs.get(RUN))).code, "unknown");
});

test("no output contains the key", async t => {
  const { url } = await serve(t, request => request.socket.destroy());
  const ry = new Runyard({ url, key: KEY, project: "support" });
  const lost = await failure(ry.runs.create({ text: "hi" }));
  assert.ok(lost instanceof ConnectionLost);
  const bad = assert.throws(() => new Runyard({ url, key: `${KEY}\nx` })) ?? "";
  const printed = [ry, ry.runs, ry.threads.chat(), lost, bad].flatMap(value => [
    inspect(value, { depth: null, showHidden: true }),
    `${value}`,
    JSON.stringify(value),
    value.stack,
  ]);
  assert.ok(!printed.join().includes(KEY));
});

test("an invalid key is rejected without being repeated", () => {
  const create = key => () => new Runyard({ url: "http://127.0.0.1:1", key });
  for (const key of ["", `${KEY}\n`, `${KEY} x`]) {
    assert.throws(create(key), error => !`${error.stack}`.includes(KEY));
  }
});

test("the environment has the defaults, and the URL may end with /v1", async t => {
  const { url, requests } = await serve(t, (_, response) => json(response, 200, created));
  const set = { RUNYARD_URL: `${url}/v1/`, RUNYARD_ACCESS_KEY: KEY, RUNYARD_PROJECT: "support" };
  Object.assign(process.env, set);
  t.after(() => Object.keys(set).forEach(name => delete process.env[name]));
  await new Runyard().runs.get(RUN);
  assert.equal(requests[0].url, `/v1/runs/${RUN}`);
  assert.equal(requests[0].headers.authorization, `Bearer ${KEY}`);
  assert.equal(requests[0].headers["x-project-id"], "support");
});

test("a signal ends a pause and a request with its reason", async t => {
  const controller = new AbortController();
  const { url, requests } = await serve(t, (_, response) => {
    json(response, 503, {}, { "retry-after": "50" });
    setTimeout(() => controller.abort(new Error("enough")), 20);
  });
  const { signal } = controller;
  const ry = new Runyard({ url, key: KEY });
  assert.equal((await failure(ry.runs.get(RUN, { signal }))).message, "enough");
  assert.equal((await failure(ry.runs.create({}, { signal }))).message, "enough");
  assert.equal(requests.length, 1);
});

test("a redirect gets no key, no project and no body", async t => {
  const { url: other, requests } = await serve(t, (_, response) => json(response, 200, created));
  const { url } = await serve(t, (_, response) => {
    response.writeHead(303, { location: `${other}/v1/runs/${RUN}?ticket=t` });
    response.end();
  });
  const ry = new Runyard({ url, key: KEY, project: "support" });
  assert.equal((await ry.runs.create({ text: "hi" })).id, RUN);
  assert.equal(requests[0].method, "GET");
  assert.equal(requests[0].url, `/v1/runs/${RUN}?ticket=t`);
  for (const name of ["authorization", "x-project-id", "idempotency-key", "content-type"]) {
    assert.equal(requests[0].headers[name], undefined);
  }
});

test("a list reads all pages, and yields an item once that has moved to the next page", async t => {
  const pages = { 1: ["c", "b"], 2: ["b", "a"] };
  const { url, requests } = await serve(t, (request, response) => {
    const page = Number(new URL(request.url, url).searchParams.get("page") ?? 1);
    const data = pages[page].map(id => ({ id }));
    const pagination = { page, page_size: 2, page_count: 2, total_count: 3 };
    json(response, 200, { data, pagination });
  });
  const ry = new Runyard({ url, key: KEY });
  const ids = [];
  for await (const run of ry.runs.list({ status: ["failed", "canceled"] })) ids.push(run.id);
  assert.deepEqual(ids, ["c", "b", "a"]);
  assert.equal(requests[0].url, "/v1/runs?status=failed&status=canceled");
  assert.equal(requests[1].url, "/v1/runs?status=failed&status=canceled&page=2");
  assert.equal((await ry.runs.list({ page: 2 })).pagination.total_count, 3);
});

test("input requests that are answered during the iteration hide no others", async t => {
  let open = ["a", "b", "c", "d"];
  const { url } = await serve(t, (request, response) => {
    const page = Number(new URL(request.url, url).searchParams.get("page") ?? 1);
    const data = open.slice(2 * page - 2, 2 * page).map(id => ({ id, run_id: RUN }));
    const page_count = Math.ceil(open.length / 2);
    json(response, 200, { data, pagination: { page, page_size: 2, page_count, total_count: 4 } });
  });
  const seen = [];
  for await (const { id } of new Runyard({ url, key: KEY }).inputRequests.list()) {
    seen.push(id);
    open = open.filter(other => other !== id);
  }
  assert.deepEqual(seen, ["a", "b", "c", "d"]);
});

test("a list of the Threads API follows its Link header on the same host", async t => {
  const { url, requests } = await serve(t, (request, response, count) => {
    const link = `<https://elsewhere.example/threads/v1/threads?limit=1&before=b>; rel="next"`;
    json(response, 200, [{ id: count ? "a" : "b" }], count ? {} : { link });
  });
  const ids = [];
  for await (const thread of new Runyard({ url, key: KEY }).threads.list({ limit: 1 })) {
    ids.push(thread.id);
  }
  assert.deepEqual(ids, ["b", "a"]);
  assert.equal(requests[1].url, "/threads/v1/threads?limit=1&before=b");
});

test("an export without its end is an error", async t => {
  const lines = ['{"kind":"run","data":{"id":"x"}}\n', '{"kind":"end","data":{"events":0}}\n'];
  const { url } = await serve(t, (_, response, count) =>
    response.end(lines.slice(0, 2 - count).join("")),
  );
  const read = async () => {
    const kinds = [];
    for await (const record of new Runyard({ url, key: KEY }).runs.export(RUN)) {
      kinds.push(record.kind);
    }
    return kinds;
  };
  assert.deepEqual(await read(), ["run"]);
  assert.match((await failure(read())).message, /truncated/);
});

test("agents, keys, usage and the key itself", async t => {
  const { url, requests } = await serve(t, (request, response) =>
    json(response, 200, { data: request.url.includes("usage") ? [] : { id: "key_0", name: "a" } }),
  );
  const ry = new Runyard({ url, key: KEY });
  assert.equal((await ry.agents.get("a@1")).name, "a");
  assert.deepEqual(await ry.usage.get({ from: "2026-11-01", by: "agent" }), []);
  assert.equal((await ry.keys.create({ project_id: "support", days: 30 })).id, "key_0");
  await ry.keys.revoke("key_0");
  assert.equal((await ry.me()).name, "a");
  const seen = requests.map(request => `${request.method} ${request.url} ${request.text}`);
  assert.deepEqual(seen, [
    "GET /v1/agents/a%401 ",
    "GET /v1/usage?from=2026-11-01&by=agent ",
    'POST /v1/keys {"project_id":"support","days":30}',
    "DELETE /v1/keys/key_0 ",
    "GET /v1/me ",
  ]);
});
