// Print every event of a run once: with_typescript.mjs STREAM_URL ACCESS_KEY
import { Runyard } from "../../clients/typescript/dist/index.js";

const [url, key] = process.argv.slice(2);
const [, base, run] = /^(.*)\/v1\/runs\/([^/]+)\/stream$/.exec(url);
for await (const event of new Runyard({ url: base, key }).runs.follow(run)) {
  console.log(event.sequence, JSON.stringify(event));
}
