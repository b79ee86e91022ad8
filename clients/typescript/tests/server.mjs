// A loopback server for the tests: it records requests, and sends the planned responses.
import { once } from "node:events";
import { createServer } from "node:http";

/** Start a server that calls `answer(request, response)`; the body is in `request.text`. */
export async function serve(t, answer) {
  const requests = [];
  const server = createServer(async (request, response) => {
    request.text = "";
    for await (const piece of request) request.text += piece;
    requests.push(request);
    await answer(request, response, requests.length - 1);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}`, requests };
}

/** Send JSON. */
export function json(response, status, body, headers = {}) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

/** Return the frame of an event. */
export function frame(sequence, type = "agent.response.delta", data = {}) {
  const timestamp = "2026-11-28T00:00:00.000Z";
  const event = { id: `id-${sequence}`, type, sequence, timestamp, data };
  return `id: ${sequence}\nevent: ${type}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** Start a stream: send its head and these texts. */
export function stream(response, ...texts) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(`retry: 2000\n\n${texts.join("")}`);
}

/** Return the error that the promise is rejected with. */
export function failure(promise) {
  return promise.then(
    () => {
      throw new Error("expected an error");
    },
    error => error,
  );
}

/** Return the sequences of the events of a stream. */
export async function sequences(events) {
  const seen = [];
  for await (const { sequence } of events) seen.push(sequence);
  return seen;
}

export const KEY = "ry_secret_key";
export const RUN = "8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a001";
