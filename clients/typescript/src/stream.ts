import { errorOf } from "./error_of.js";
import { ApiError, ConnectionLost, GapError } from "./errors.js";
import type { Event } from "./events.js";
import { lines } from "./lines.js";
import { MAX_RETRY_AFTER, type Transport } from "./transport.js";
import type { CallOptions } from "./types.js";
import { backoff, sleep } from "./waiting.js";

/** Options of a stream. */
export interface FollowOptions extends CallOptions {
  /** Start after the event with this sequence. */
  after?: number | undefined;
  /** False leaves out deltas and progress: `agent.….delta`, `agent.tool_call.progress`. */
  deltas?: boolean | undefined;
}

const TERMINAL = /^run\.(completed|failed|canceled)$/;
/** A heartbeat comes after 15 s at most. So this silence means that the connection is dead. */
const MAX_SILENCE = 45_000;
/** Attempts in a row without an event or a heartbeat: before the first response, and after it. */
const MAX_ATTEMPTS = [3, 20] as const;

/**
 * Yield each event of the run once, until its terminal event.
 *
 * It reconnects after each cut, with the sequence of the last complete event. Ending it cancels
 * nothing. It throws an ApiError, a GapError, a ConnectionLost, or the reason of the signal.
 */
export async function* follow(
  transport: Transport,
  runId: string,
  { after = 0, deltas = true, signal }: FollowOptions = {},
): AsyncGenerator<Event, void, void> {
  const connections = new Connections(transport, runId, deltas, signal);
  try {
    for (;;) {
      const response = await connections.next(after);
      if (response.status === 204) return;
      for await (const data of connections.events(response)) {
        const event: Event = JSON.parse(data);
        const { sequence } = event;
        if (deltas ? sequence !== after + 1 : sequence <= after) {
          throw new GapError(runId, after + 1, sequence);
        }
        after = sequence;
        yield event;
        if (TERMINAL.test(event.type)) return;
      }
    }
  } finally {
    connections.close();
  }
}

/** The connections of one stream, one after the other. */
class Connections {
  #current = new AbortController();
  #connected: 0 | 1 = 0;
  /** The attempts since the last sign of life. */
  #attempts = 0;
  #ticketed = false;

  constructor(
    readonly transport: Transport,
    readonly runId: string,
    readonly deltas: boolean,
    readonly signal: AbortSignal | undefined,
  ) {}

  /** Return the response of the next connection: 200 or 204. */
  async next(after: number): Promise<Response> {
    let error: unknown;
    let retryAfter = 0;
    for (;;) {
      if (this.#attempts >= MAX_ATTEMPTS[this.#connected]) {
        throw error ?? new ConnectionLost(this.transport.url, "Connections end without events.");
      }
      if (this.#attempts) {
        await sleep(Math.max(backoff(this.#attempts - 1), retryAfter * 1000), this.signal);
      }
      this.#attempts++;
      try {
        this.#current = new AbortController();
        const response = await this.#alive(this.#connect(after));
        if (response.ok) {
          this.#connected = 1;
          return response;
        }
        error = errorOf(response, await this.#alive(response.text()));
      } catch (failure) {
        error = new ConnectionLost(this.transport.url, failure);
      }
      this.signal?.throwIfAborted();
      if (error instanceof ApiError) {
        retryAfter = error.retryAfter ?? 0;
        const isRetried = error.status >= 500 || error.status === 429;
        if (!isRetried || retryAfter > MAX_RETRY_AFTER) throw error;
      }
    }
  }

  /** Yield each event of a connection as JSON, until it ends for any reason. */
  async *events(response: Response): AsyncGenerator<string, void, void> {
    let data = "";
    try {
      for await (const line of lines(response, read => this.#alive(read))) {
        if (line.startsWith("data:")) data += line.slice(5);
        // An event or a heartbeat: the next pause starts at its minimum.
        else if (line.startsWith(":")) this.#attempts = 1;
        else if (!line && data) {
          this.#attempts = 1;
          const event = data;
          data = "";
          yield event;
        }
      }
    } catch {
      this.signal?.throwIfAborted();
    }
  }

  close(): void {
    this.#current.abort();
  }

  /**
   * Send the request. A page cannot read a redirect: there it opens a ticket, without the key.
   */
  async #connect(after: number): Promise<Response> {
    const { transport, runId, deltas, signal } = this;
    const current = this.#current.signal;
    const request = {
      headers: after ? { "Last-Event-ID": `${after}` } : {},
      signal: signal ? AbortSignal.any([signal, current]) : current,
    };
    const path = `/v1/runs/${encodeURIComponent(runId)}`;
    const query = deltas ? {} : { deltas: false };
    if (!this.#ticketed) {
      const response = await transport.send("GET", `${path}/stream`, { ...request, query });
      if (response.type !== "opaqueredirect") return response;
      this.#ticketed = true;
    }
    const response = await transport.send("POST", `${path}/ticket`, { signal: request.signal });
    if (!response.ok) return response;
    const { data } = await response.json();
    return transport.open(data.url + (deltas ? "" : "&deltas=false"), request);
  }

  /** Return the result, or abort the connection if there is none within `MAX_SILENCE`. */
  async #alive<T>(result: Promise<T>): Promise<T> {
    const timer = setTimeout(() => this.#current.abort(), MAX_SILENCE);
    try {
      return await result;
    } finally {
      clearTimeout(timer);
    }
  }
}
