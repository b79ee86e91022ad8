/** The client of Runyard for Node, Deno, Bun and browsers. */

import { Agents, InputRequests, Keys, UsageReports } from "./resources/admin.js";
import { Files } from "./resources/files.js";
import { Runs } from "./resources/runs.js";
import { Threads } from "./resources/threads.js";
import { Webhooks } from "./resources/webhooks.js";
import type { CallOptions, Me } from "./types.js";
import { Transport, type RunyardOptions } from "./transport.js";

/** A client of one service with one access key. */
export class Runyard {
  #transport: Transport;
  readonly runs: Runs;
  readonly inputRequests: InputRequests;
  readonly threads: Threads;
  readonly webhooks: Webhooks;
  readonly files: Files;
  readonly agents: Agents;
  readonly keys: Keys;
  readonly usage: UsageReports;

  constructor(options: RunyardOptions = {}) {
    const transport = (this.#transport = new Transport(options));
    this.files = new Files(transport);
    this.runs = new Runs(transport, this.files);
    this.inputRequests = new InputRequests(transport);
    this.threads = new Threads(transport, this.runs);
    this.webhooks = new Webhooks(transport);
    this.agents = new Agents(transport);
    this.keys = new Keys(transport);
    this.usage = new UsageReports(transport);
  }

  /** Return what the access key may do. */
  async me(options?: CallOptions): Promise<Me> {
    return (await this.#transport.get<{ data: Me }>("/v1/me", {}, options)).data;
  }
}

export * from "./errors.js";
export type * from "./events.js";
export type { components, operations, paths } from "./openapi.js";
export type * from "./types.js";
export { verifyWebhook, type ReceivedHeaders } from "./verify.js";
