import { WebhookRejected } from "./errors.js";
import type { Notification } from "./types.js";

/** The headers of a request: `Headers`, or the object that Node's `http` has. */
export type ReceivedHeaders = Headers | Record<string, string | string[] | undefined>;

const MAX_AGE_SECONDS = 300;

/**
 * Verify the signature of a webhook, and return the notification.
 *
 * `body` is the body as received, before any parsing. `secret` starts with `whsec_`. Throw
 * WebhookRejected if no signature is valid, or if the request is older than five minutes.
 */
export async function verifyWebhook(
  body: string | Uint8Array,
  headers: ReceivedHeaders,
  secret: string,
): Promise<Notification> {
  const header = (name: string) =>
    `${(headers instanceof Headers ? headers.get(name) : headers[name]) ?? ""}`;
  const timestamp = header("webhook-timestamp");
  const age = Math.abs(Date.now() / 1000 - +timestamp);
  if (!timestamp || !(age <= MAX_AGE_SECONDS)) {
    throw new WebhookRejected("webhook-timestamp is missing, or more than five minutes off.");
  }
  const text = typeof body === "string" ? body : new TextDecoder().decode(body);
  const signed = new TextEncoder().encode(`${header("webhook-id")}.${timestamp}.${text}`);
  const key = await crypto.subtle.importKey(
    "raw",
    bytes(secret.replace(/^whsec_/, "")),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["verify"],
  );
  for (const signature of header("webhook-signature").split(" ")) {
    const [version, value = ""] = signature.split(",");
    if (version === "v1" && (await crypto.subtle.verify("HMAC", key, bytes(value), signed))) {
      return JSON.parse(text);
    }
  }
  throw new WebhookRejected("No signature in webhook-signature fits the body and the secret.");
}

/** Return the bytes of base64; none if it is invalid. */
function bytes(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(base64), character => character.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}
