import { Pages, numberedPages, type NumberedPage } from "../pages.js";
import type { Transport } from "../transport.js";
import type {
  Answer,
  Body,
  CallOptions,
  Delivery,
  Query,
  Webhook,
  WriteOptions,
} from "../types.js";
import { verifyWebhook } from "../verify.js";

/** `runyard.webhooks` */
export class Webhooks {
  #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Verify a received request; see `verifyWebhook`. */
  readonly verify = verifyWebhook;

  /** Register an endpoint. Only this response contains the secret. */
  create(fields: Body<"createWebhook">, options?: WriteOptions): Promise<Webhook & Secret> {
    return this.#post("/v1/webhooks", fields, options);
  }

  /** Return a page of endpoints, or iterate over all of them. */
  list(
    query: Query<"listWebhooks"> = {},
    options?: CallOptions,
  ): Pages<Webhook, NumberedPage<Webhook>> {
    return numberedPages(this.#transport, "/v1/webhooks", query, options);
  }

  /** Return the endpoint. */
  async get(webhookId: string, options?: CallOptions): Promise<Webhook> {
    return (await this.#transport.get<{ data: Webhook }>(path(webhookId), {}, options)).data;
  }

  /** Change the endpoint. */
  async update(
    webhookId: string,
    fields: Body<"changeWebhook">,
    options?: CallOptions,
  ): Promise<Webhook> {
    const request = { body: fields, ...options };
    return (await (await this.#transport.request("PATCH", path(webhookId), request)).json()).data;
  }

  /** Delete the endpoint and its secrets. */
  async delete(webhookId: string, options?: CallOptions): Promise<void> {
    await this.#transport.request("DELETE", path(webhookId), options);
  }

  /** Create a new secret. Only this response contains it. */
  rotateSecret(
    webhookId: string,
    fields: NonNullable<Body<"rotateWebhookSecret">> = {},
    options?: WriteOptions,
  ): Promise<Webhook & Secret> {
    return this.#post(`${path(webhookId)}/rotate-secret`, fields, options);
  }

  /** Send a `webhook.ping`. */
  test(webhookId: string, options?: WriteOptions): Promise<Delivery> {
    return this.#post(`${path(webhookId)}/test`, undefined, options);
  }

  /** Return a page of deliveries, newest first, or iterate over all of them. */
  deliveries(
    webhookId: string,
    query: Query<"listDeliveries"> = {},
    options?: CallOptions,
  ): Pages<Delivery, Answer<"listDeliveries">> {
    return new Pages(async cursor => {
      const selected = cursor ? { ...query, before: cursor } : query;
      const page = await this.#transport.get<Answer<"listDeliveries">>(
        `${path(webhookId)}/deliveries`,
        selected,
        options,
      );
      return { page, items: page.data, next: page.pagination.next_before };
    });
  }

  /** Return a delivery with its payload and its attempts. */
  async delivery(
    webhookId: string,
    deliveryId: string,
    options?: CallOptions,
  ): Promise<Answer<"getDelivery">["data"]> {
    const target = deliveryPath(webhookId, deliveryId);
    return (await this.#transport.get<Answer<"getDelivery">>(target, {}, options)).data;
  }

  /** Send a delivery again under the same id. */
  redeliver(webhookId: string, deliveryId: string, options?: WriteOptions): Promise<Delivery> {
    return this.#post(`${deliveryPath(webhookId, deliveryId)}/redeliver`, undefined, options);
  }

  async #post<Data>(target: string, body?: unknown, options?: WriteOptions): Promise<Data> {
    return (await this.#transport.post<{ data: Data }>(target, body, options)).data;
  }
}

/** The secret that signs deliveries, in the first response of a create or a rotation. */
export interface Secret {
  secret?: string;
}

function path(webhookId: string): string {
  return `/v1/webhooks/${encodeURIComponent(webhookId)}`;
}

function deliveryPath(webhookId: string, deliveryId: string): string {
  return `${path(webhookId)}/deliveries/${encodeURIComponent(deliveryId)}`;
}
