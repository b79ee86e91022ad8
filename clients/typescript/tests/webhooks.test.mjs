import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { test } from "node:test";

import { verifyWebhook, WebhookRejected } from "runyard";

import { failure } from "./server.mjs";

const SECRET = `whsec_${randomBytes(32).toString("base64")}`;
const BODY = '{"type": "run.completed", "timestamp": "2026-11-28T00:00:00Z", "data": {"a": "ž"}}';

function signed(body, { secret = SECRET, seconds = 0 } = {}) {
  const timestamp = `${Math.floor(Date.now() / 1000) + seconds}`;
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const signature = createHmac("sha256", key).update(`id-1.${timestamp}.${body}`).digest("base64");
  return {
    "webhook-id": "id-1",
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${signature}`,
  };
}

test("a valid signature returns the notification, for each kind of body and headers", async () => {
  const headers = signed(BODY);
  for (const body of [BODY, new TextEncoder().encode(BODY), Buffer.from(BODY)]) {
    assert.equal((await verifyWebhook(body, headers, SECRET)).type, "run.completed");
  }
  assert.equal((await verifyWebhook(BODY, new Headers(headers), SECRET)).data.a, "ž");
});

test("one of several signatures is enough, as during a rotation", async () => {
  const old = signed(BODY, { secret: `whsec_${randomBytes(32).toString("base64")}` });
  const headers = signed(BODY);
  headers["webhook-signature"] = `${old["webhook-signature"]} ${headers["webhook-signature"]}`;
  assert.equal((await verifyWebhook(BODY, headers, SECRET)).type, "run.completed");
});

test("everything else is rejected", async () => {
  const cases = {
    "another body": [`${BODY} `, signed(BODY)],
    "another secret": [BODY, signed(BODY, { secret: `whsec_${"A".repeat(44)}` })],
    "too old": [BODY, signed(BODY, { seconds: -301 })],
    "too new": [BODY, signed(BODY, { seconds: 302 })],
    "no headers": [BODY, {}],
    "another id": [BODY, { ...signed(BODY), "webhook-id": "id-2" }],
    "no base64": [BODY, { ...signed(BODY), "webhook-signature": "v1,***" }],
    "another version": [BODY, { ...signed(BODY), "webhook-signature": "v2,AAAA" }],
  };
  for (const [name, [body, headers]] of Object.entries(cases)) {
    const error = await failure(verifyWebhook(body, headers, SECRET));
    assert.ok(error instanceof WebhookRejected, name);
  }
});
