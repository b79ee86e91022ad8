// Print every event of a run once: fetch_event_source.mjs STREAM_URL ACCESS_KEY
// `@microsoft/fetch-event-source` reconnects after an error. A response that ends is an error here,
// until the service returns 204: the client has seen the last event.
import { fetchEventSource } from "@microsoft/fetch-event-source";

// The library expects a browser.
globalThis.window = globalThis;
globalThis.document = new EventTarget();
const [url, key] = process.argv.slice(2);
const end = new AbortController();
let last = "";

await fetchEventSource(url, {
  openWhenHidden: true,
  signal: end.signal,
  // The library remembers an id when its line arrives, before the event is complete. If the
  // connection breaks there, the event is lost. So this client sends the id of the last event that
  // `onmessage` received.
  fetch: (input, init) =>
    fetch(input, { ...init, headers: { ...init.headers, authorization: `Bearer ${key}`, "last-event-id": last } }),
  async onopen(response) {
    if (response.status === 204) end.abort();
  },
  onmessage({ id, data }) {
    if (!data) return;
    last = id;
    console.log(id, data);
  },
  onclose() {
    throw new Error("reconnect");
  },
});
