import { numberedPages, type NumberedPage, type Pages } from "../pages.js";
import type { Transport } from "../transport.js";
import type {
  AccessKey,
  Agent,
  Answer,
  CallOptions,
  CreateKey,
  CreatedKey,
  OpenRequest,
  Query,
  UsageRow,
  WriteOptions,
} from "../types.js";

/** `runyard.inputRequests` */
export class InputRequests {
  #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Return a page of open input requests, oldest first, or iterate over all of them. */
  list(
    query: Query<"listInputRequests"> = {},
    options?: CallOptions,
  ): Pages<OpenRequest, NumberedPage<OpenRequest>> {
    return numberedPages(this.#transport, "/v1/input-requests", query, options, true);
  }
}

/** `runyard.agents` */
export class Agents {
  #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Return a page of the agents that the key can use, or iterate over all of them. */
  list(
    query: Query<"listAgents"> = {},
    options?: CallOptions,
  ): Pages<Agent, NumberedPage<Agent>> {
    return numberedPages(this.#transport, "/v1/agents", query, options);
  }

  /** Return an agent by `name` or `name@version`. */
  async get(name: string, options?: CallOptions): Promise<Agent> {
    const path = `/v1/agents/${encodeURIComponent(name)}`;
    return (await this.#transport.get<Answer<"getAgent">>(path, {}, options)).data;
  }
}

/** `runyard.keys`, for keys of an organization with the scope `keys:write` */
export class Keys {
  #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Return a page of keys, oldest first and without secrets, or iterate over all of them. */
  list(
    query: Query<"listKeys"> = {},
    options?: CallOptions,
  ): Pages<AccessKey, NumberedPage<AccessKey>> {
    return numberedPages(this.#transport, "/v1/keys", query, options);
  }

  /** Create a key. If the response has no `secret`, a first one was lost: create another key. */
  async create(fields: CreateKey = {}, options?: WriteOptions): Promise<CreatedKey> {
    return (await this.#transport.post<{ data: CreatedKey }>("/v1/keys", fields, options)).data;
  }

  /** Revoke a key. Every process notices it within 60 seconds. */
  async revoke(keyId: string, options?: CallOptions): Promise<void> {
    await this.#transport.request("DELETE", `/v1/keys/${encodeURIComponent(keyId)}`, options);
  }
}

/** `runyard.usage` */
export class UsageReports {
  #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Return tokens, costs and numbers of runs, in rows by day, agent, model or user. */
  async get(query: Query<"getUsage"> = {}, options?: CallOptions): Promise<UsageRow[]> {
    return (await this.#transport.get<Answer<"getUsage">>("/v1/usage", query, options)).data;
  }
}
