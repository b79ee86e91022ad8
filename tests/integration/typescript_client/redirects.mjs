// Follow a run, export it and create one through an endpoint that redirects: redirects.mjs URL KEY
import { walk } from "./walk.mjs";
import { Runyard } from "../../../clients/typescript/dist/index.js";

const [url, key, run] = process.argv.slice(2);
console.log(JSON.stringify(await walk(new Runyard({ url, key }), run)));
