// Print every event of a run once: eventsource.mjs URL_WITH_TICKET
// `eventsource` is a browser's EventSource for Node. It reconnects by itself, and stops at a 204.
import { EventSource } from "eventsource";

const source = new EventSource(process.argv[2]);
source.onmessage = event => console.log(event.lastEventId, event.data);
source.onerror = () => {
  if (source.readyState === source.CLOSED) process.exit(0);
};
