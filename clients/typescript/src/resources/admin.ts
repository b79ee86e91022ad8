import { numberedPages, type NumberedPage, type Pages } from "../pages.js";
import type { Transport } from "../transport.js";
import type { CallOptions, InputRequest, Query } from "../types.js";

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

/** An open input request with its run. */
export type OpenRequest = InputRequest & { run_id: string };
