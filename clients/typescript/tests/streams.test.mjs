import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { ApiError, ConnectionLost, GapError, NotFound, Runyard } from "runyard";

import { failure, frame, json, KEY, RUN, sequences, serve, stream } from "./server.mjs";

const END = "run.completed";
const client = url => new Runyard({ url, key: KEY });

/** Start a server whose connections send these texts, and then end as `ends` says. */
async function script(t, ...connections) {
  return serve(t, (_, response, count) => {
    const text = connections[count] ?? frame(99, END);
    stream(response, text);
    if (count % 2) response.end();
    else setImmediate(() => response.destroy());
  });
}

test("cuts lose nothing and repeat nothing: the cursor is the last complete event", async t => {
  const { url, requests } = await script(
    t,
    frame(1) + frame(2) + frame(3).slice(0, -1),
    frame(3) + "id: 4\nda",
    frame(4),
    ": maximum connection age reached\n\n",
    frame(5) + frame(6, END),
  );
  assert.deepEqual(await sequences(client(url).runs.follow(RUN)), [1, 2, 3, 4, 5, 6]);
  const cursors = requests.map(request => request.headers["last-event-id"]);
  assert.deepEqual(cursors, [undefined, "2", "3", "4", "4"]);
});

test("an event in pieces, with CRLF and with characters of several bytes", async t => {
  const event = frame(1, "agent.response.delta", { delta: "žluťoučký 🐎" });
  const text = event.replaceAll("\n", "\r\n");
  const { url } = await serve(t, async (_, response) => {
    stream(response);
    for (const byte of Buffer.from(text)) {
      response.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    response.end(frame(2, END));
  });
  const deltas = [];
  for await (const event of client(url).runs.follow(RUN)) deltas.push(event.data.delta);
  assert.deepEqual(deltas, ["žluťoučký 🐎", undefined]);
});

test("204 is the end", async t => {
  const { url, requests } = await serve(t, (_, response) => response.writeHead(204).end());
  assert.deepEqual(await sequences(client(url).runs.follow(RUN, { after: 30 })), []);
  assert.equal(requests[0].headers["last-event-id"], "30");
});

test("nothing is read after the terminal event", async t => {
  const { url, requests } = await serve(t, (_, response) => stream(response, frame(1, END)));
  assert.deepEqual(await sequences(client(url).runs.follow(RUN)), [1]);
  assert.equal(requests.length, 1);
});

for (const status of [400, 401, 403, 404]) {
  test(`a ${status} is thrown at once`, async t => {
    const { url, requests } = await serve(t, (_, response) => json(response, status, {}));
    const error = await failure(sequences(client(url).runs.follow(RUN)));
    assert.equal(error.status, status);
    assert.equal(error instanceof NotFound, status === 404);
    assert.equal(requests.length, 1);
  });
}

for (const status of [429, 500, 502, 503, 504]) {
  test(`a ${status} is tried again`, async t => {
    const { url } = await serve(t, (_, response, count) =>
      count ? stream(response, frame(1, END)) : json(response, status, {}, { "retry-after": "0" }),
    );
    assert.deepEqual(await sequences(client(url).runs.follow(RUN)), [1]);
  });
}

test("without a first connection it ends after three attempts", async t => {
  const { url, requests } = await serve(t, request => request.socket.destroy());
  assert.ok((await failure(sequences(client(url).runs.follow(RUN)))) instanceof ConnectionLost);
  assert.equal(requests.length, 3);
});

test("responses that are no streams end after twenty connections", async t => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const { url, requests } = await serve(t, (_, response) => json(response, 200, {}));
  const error = failure(sequences(client(url).runs.follow(RUN)));
  let isOver = false;
  error.then(() => (isOver = true));
  while (!isOver) {
    mock.timers.tick(1000);
    await new Promise(setImmediate);
  }
  assert.ok((await error) instanceof ConnectionLost);
  assert.equal(requests.length, 20);
});

test("a gap and a repeat are errors", async t => {
  for (const [second, message] of [[3, /event 3; event 2 comes next/], [1, /event 1; event 2/]]) {
    const { url } = await script(t, frame(1) + frame(second));
    const error = await failure(sequences(client(url).runs.follow(RUN)));
    assert.ok(error instanceof GapError);
    assert.match(error.message, message);
  }
});

test("without deltas, sequences may jump, and never repeat", async t => {
  const { url, requests } = await script(t, frame(1) + frame(7), "", frame(9, END));
  const events = client(url).runs.follow(RUN, { deltas: false });
  assert.deepEqual(await sequences(events), [1, 7, 9]);
  assert.equal(requests[1].url, `/v1/runs/${RUN}/stream?deltas=false`);
  const { url: repeating } = await script(t, frame(7) + frame(7));
  const repeated = client(repeating).runs.follow(RUN, { deltas: false });
  assert.ok((await failure(sequences(repeated))) instanceof GapError);
});

test("45 s of silence is a cut", async t => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const { url, requests } = await serve(t, (_, response, count) =>
    stream(response, count ? frame(2, END) : frame(1)),
  );
  const events = client(url).runs.follow(RUN);
  assert.equal((await events.next()).value.sequence, 1);
  const second = events.next();
  await new Promise(setImmediate);
  mock.timers.tick(44_999);
  await new Promise(setImmediate);
  assert.equal(requests.length, 1);
  // Real I/O runs between the steps of the fake time.
  while (requests.length < 2) {
    mock.timers.tick(1);
    await new Promise(setImmediate);
  }
  assert.equal((await second).value.sequence, 2);
});

test("leaving the loop closes the connection, and cancels nothing", async t => {
  const closed = Promise.withResolvers?.() ?? withResolvers();
  const { url, requests } = await serve(t, (_, response) => {
    response.on("close", closed.resolve);
    stream(response, frame(1) + frame(2));
  });
  for await (const event of client(url).runs.follow(RUN)) {
    assert.equal(event.sequence, 1);
    break;
  }
  await closed.promise;
  assert.deepEqual(requests.map(request => request.method), ["GET"]);
});

function withResolvers() {
  let resolve;
  return { promise: new Promise(done => (resolve = done)), resolve };
}

test("a signal ends the stream with its reason", async t => {
  const controller = new AbortController();
  const { url } = await serve(t, (_, response) => stream(response, frame(1)));
  const events = client(url).runs.follow(RUN, { signal: controller.signal });
  await events.next();
  const next = failure(events.next());
  controller.abort(new Error("enough"));
  assert.equal((await next).message, "enough");
  const { signal } = controller;
  assert.equal((await failure(client(url).runs.follow(RUN, { signal }).next())).message, "enough");
});

test("a redirect to another host gets the cursor, and no key", async t => {
  const { url: other, requests } = await serve(t, (_, response) =>
    stream(response, frame(6, END)),
  );
  const { url } = await serve(t, (_, response) => {
    response.writeHead(303, { location: `${other}/v1/runs/${RUN}/stream?ticket=t` }).end();
  });
  const ry = new Runyard({ url, key: KEY, project: "support" });
  assert.deepEqual(await sequences(ry.runs.follow(RUN, { after: 5 })), [6]);
  const { authorization, "x-project-id": project, "last-event-id": cursor } = requests[0].headers;
  assert.deepEqual([authorization, project, cursor], [undefined, undefined, "5"]);
});

test("a redirect of another kind is an error that shows the status", async t => {
  const { url } = await serve(t, (_, response) => {
    response.writeHead(301, { location: "https://runyard.example/" }).end();
  });
  const error = await failure(sequences(client(url).runs.follow(RUN)));
  assert.deepEqual([error.constructor, error.status], [ApiError, 301]);
});

test("a 202 of a create is waited out by following", async t => {
  const paused = frame(2, "run.paused");
  const { url, requests } = await serve(t, (request, response) => {
    if (request.method === "POST") return json(response, 202, { data: { id: RUN } });
    if (request.url.includes("/stream")) return stream(response, frame(1) + paused + frame(3, END));
    const reads = requests.filter(({ url }) => url.endsWith(RUN)).length;
    const ended = { status: "completed", ended_at: "2026-11-28T00:00:00Z" };
    const state = reads < 3 ? { status: "started" } : ended;
    return json(response, 200, { data: { id: RUN, ...state } });
  });
  assert.equal((await client(url).runs.create({ text: "hi" })).status, "completed");
  const background = await client(url).runs.create({ text: "hi" }, { wait: false });
  assert.deepEqual(background, { id: RUN });
  assert.deepEqual(JSON.parse(requests.at(-1).text), { input: { text: "hi" }, background: true });
});

test("result returns the output, or throws what has happened", async t => {
  const runs = {
    completed: { output: { content: "hi" } },
    failed: { error: { code: "limit_exceeded", message: "Too long." } },
    canceled: {},
  };
  const { url } = await serve(t, (request, response) => {
    const status = request.url.split("/").at(-1);
    const data = { id: status, status, ended_at: "2026-11-28T00:00:00Z", ...runs[status] };
    if (status === "awaiting_input") data.input_requests = [{ id: "request" }];
    json(response, 200, { data });
  });
  const { runs: api } = client(url);
  assert.deepEqual(await api.result("completed"), { content: "hi" });
  const failed = await failure(api.result("failed"));
  assert.deepEqual([failed.name, failed.code], ["RunFailed", "limit_exceeded"]);
  assert.equal((await failure(api.result("canceled"))).name, "RunCanceled");
  const waits = await failure(api.result("awaiting_input"));
  assert.deepEqual([waits.name, waits.inputRequests], ["RunWaits", [{ id: "request" }]]);
});

test("result ends after its timeout", async t => {
  const { url } = await serve(t, (request, response) => {
    if (request.url.includes("/stream")) return stream(response, frame(1));
    return json(response, 200, { data: { id: RUN, status: "started" } });
  });
  const error = await failure(client(url).runs.result(RUN, { timeoutMs: 50 }));
  assert.equal(error.name, "Timeout");
});

test("an event that asks answers its own input request, and stays plain JSON", async t => {
  const { url, requests } = await serve(t, (request, response) => {
    if (request.method === "POST") return json(response, 200, { message: "ok" });
    const approval = frame(1, "approval_request.created", { id: "first" });
    const feedback = frame(3, "agent.human_feedback.requested", { id: "third" });
    const second = frame(2, "approval_request.created", { id: "second" });
    return stream(response, approval + second + feedback + frame(4, END));
  });
  for await (const event of client(url).runs.follow(RUN)) {
    if (event.type === "approval_request.created") {
      if (event.data.id === "first") await event.approve({ amount: 45 });
      else await event.refuse("too much");
    }
    if (event.type === "agent.human_feedback.requested") await event.answer("yes");
    assert.deepEqual(Object.keys(structuredClone(event)).length, 5);
  }
  const answers = requests.slice(1).map(request => JSON.parse(request.text));
  const type = "approval_request";
  const params = { amount: 45 };
  const feedback = "too much";
  assert.deepEqual(answers, [
    { type, data: { request_id: "first", is_approved: true, params } },
    { type, data: { request_id: "second", is_approved: false, feedback } },
    { type: "human_feedback", data: { request_id: "third", feedback: "yes" } },
  ]);
});

test("without a request_id, the only open request of the type is answered", async t => {
  let open = [{ id: "a", type: "approval_request" }, { id: "f", type: "human_feedback" }];
  const { url, requests } = await serve(t, (request, response) =>
    request.method === "POST"
      ? json(response, 200, { message: "ok" })
      : json(response, 200, { data: { id: RUN, status: "awaiting_input", input_requests: open } }),
  );
  const { runs } = client(url);
  await runs.approve(RUN);
  assert.equal(JSON.parse(requests.at(-1).text).data.request_id, "a");
  open = [...open, { id: "b", type: "approval_request" }];
  assert.match((await failure(runs.refuse(RUN))).message, /set request_id to one of a, b/);
  open = [];
  assert.match((await failure(runs.answer(RUN, "yes"))).message, /none is open/);
});
