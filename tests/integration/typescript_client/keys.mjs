// Create a key, use it, list and revoke it: keys.mjs URL KEY PROJECT
import { Runyard } from "../../../clients/typescript/dist/index.js";

const [url, key, project] = process.argv.slice(2);
const ry = new Runyard({ url, key });
const list = async () => {
  const keys = [];
  for await (const each of ry.keys.list({ page_size: 1 })) keys.push(each);
  return keys;
};

const created = await ry.keys.create({ project_id: project, scopes: ["runs:read"] });
const me = await new Runyard({ url, key: created.secret }).me();
const listed = await list();
await ry.keys.revoke(created.id);
const printed = {
  has_secret: created.secret.startsWith("ry_"),
  is_usable: me.key_id === created.id,
  listed: listed.map(each => [each.project_id ?? null, "secret" in each]),
  revoked: (await list()).map(each => "revoked_at" in each),
};
console.log(JSON.stringify(printed));
