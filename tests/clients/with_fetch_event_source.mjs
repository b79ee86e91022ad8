// `@microsoft/fetch-event-source`. It comes back by itself after an error; that an answer which
// ends is no end of the stream is for its caller to say (onclose).
import { fetchEventSource } from "@microsoft/fetch-event-source";

// It is made for browsers.
globalThis.window = globalThis;
globalThis.document = new EventTarget();
const [url, key] = process.argv.slice(2);
const end = new AbortController();
let last = "";

await fetchEventSource(url, {
  openWhenHidden: true,
  signal: end.signal,
  // It takes an id for seen as soon as its line has come, also where the cut is before the data:
  // that event would be lost. So what is sent is the id of the last event that it has handed over.
  fetch: (input, init) =>
    fetch(input, { ...init, headers: { ...init.headers, authorization: `Bearer ${key}`, "last-event-id": last } }),
  async onopen(answer) {
    if (answer.status === 204) end.abort();
  },
  onmessage({ id, data }) {
    if (!data) return;
    last = id;
    console.log(id, data);
  },
  onclose() {
    throw new Error("come back");
  },
});
