import { errorOf } from "./error_of.js";
import { ConnectionLost, RunyardError, type ApiError } from "./errors.js";
import type { CallOptions, Me, WriteOptions } from "./types.js";
import { backoff, sleep } from "./waiting.js";

/** Options of a client. */
export interface RunyardOptions {
  /** The base URL, the output `ApiUrl`. By default the environment variable `RUNYARD_URL`. */
  url?: string | undefined;
  /** The access key. By default the environment variable `RUNYARD_ACCESS_KEY`. */
  key?: string | undefined;
  /** The project, for a key of an organization. By default `RUNYARD_PROJECT`. */
  project?: string | undefined;
  /** Replaces the global `fetch`, for example to use a proxy. */
  fetch?: typeof fetch | undefined;
}

interface Request extends CallOptions {
  query?: object | undefined;
  body?: unknown;
  headers?: Record<string, string>;
}

/** The number of retries after the first attempt. */
const RETRIES = 2;
/** The longest `Retry-After` to wait for, in seconds. */
export const MAX_RETRY_AFTER = 60;
const RETRIED = [429, 502, 503, 504];

declare const process: { env: Record<string, string | undefined> };

/** Sends requests. It holds the access key in a private field, which no output shows. */
export class Transport {
  readonly url: string;
  #key: string;
  #project: string | undefined;
  #fetch: typeof fetch;
  /** The URL of the streaming endpoint, where a page cannot read redirects. */
  #streamUrl: Promise<string> | undefined;

  constructor(options: RunyardOptions) {
    const url = options.url ?? environment("URL");
    const key = options.key ?? environment("ACCESS_KEY");
    if (!url) throw new RunyardError("RunyardError", "Set url, or RUNYARD_URL.");
    // `fetch` would repeat the whole value in its error.
    if (!key || !/^[!-~]+$/.test(key)) {
      const message = "Set key, or RUNYARD_ACCESS_KEY, to an access key without spaces.";
      throw new RunyardError("RunyardError", message);
    }
    this.url = url.replace(/\/+(v1\/*)?$/, "");
    this.#key = key;
    this.#project = options.project ?? environment("PROJECT");
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
  }

  /** Return the JSON body of the response to a GET. */
  async get<Content>(path: string, query?: object, options?: CallOptions): Promise<Content> {
    return (await this.request("GET", path, { ...options, query })).json();
  }

  /** Return the JSON body of the response to a POST. It is retried under one Idempotency-Key. */
  async post<Content>(path: string, body?: unknown, options?: WriteOptions): Promise<Content> {
    return (await this.create(path, body, options)).json();
  }

  /** Send a POST, retry it under one Idempotency-Key, and return the response. */
  create(path: string, body?: unknown, options: WriteOptions = {}): Promise<Response> {
    const headers = { "Idempotency-Key": options.idempotencyKey ?? randomKey() };
    return this.request("POST", path, { body, headers, signal: options.signal });
  }

  /**
   * Return the successful response, with its body in memory.
   *
   * It retries a GET, and a request with an Idempotency-Key. It throws an ApiError, a
   * ConnectionLost, or the reason of the signal.
   */
  async request(method: string, path: string, request: Request = {}): Promise<Response> {
    const retries = method === "GET" || request.headers?.["Idempotency-Key"] ? RETRIES : 0;
    return this.retry(retries, request.signal, async () => {
      const response = await this.fetch(method, path, request);
      const body = await response.text();
      if (!response.ok) throw errorOf(response, body);
      return new Response(body || null, response);
    });
  }

  /** Return the response to a GET, with its body still to be read. */
  stream(path: string, signal: AbortSignal | undefined): Promise<Response> {
    return this.retry(RETRIES, signal, async () => {
      const response = await this.fetch("GET", path, { signal });
      if (!response.ok) throw errorOf(response, await response.text());
      return response;
    });
  }

  /** Call `attempt`; repeat it after a lost connection and after a status of `RETRIED`. */
  async retry<T>(
    retries: number,
    signal: AbortSignal | undefined,
    attempt: () => Promise<T>,
  ): Promise<T> {
    for (let count = 0; ; count++) {
      try {
        return await attempt();
      } catch (failure) {
        signal?.throwIfAborted();
        const error =
          failure instanceof RunyardError ? failure : new ConnectionLost(this.url, failure);
        const { status, retryAfter = 0 } = error as ApiError;
        const isRetried = error instanceof ConnectionLost || RETRIED.includes(status);
        if (count === retries || !isRetried || retryAfter > MAX_RETRY_AFTER) throw error;
        await sleep(Math.max(backoff(count), retryAfter * 1000), signal);
      }
    }
  }

  /** Send the request once, to the streaming endpoint if a page cannot read the redirect to it. */
  async fetch(method: string, path: string, request: Request): Promise<Response> {
    const response = await this.send(method, path, request);
    if (response.type !== "opaqueredirect") return response;
    return this.send(method, path, request, await this.#findStreamUrl(request.signal));
  }

  /**
   * Send the request once.
   *
   * It follows a 303 without the key, which belongs to this host only. In a page the redirect has
   * the type `opaqueredirect`, and no location.
   */
  async send(
    method: string,
    path: string,
    request: Request,
    baseUrl = this.url,
  ): Promise<Response> {
    const { query, body, headers, signal } = request;
    const init: RequestInit = { method, redirect: "manual", signal: signal ?? null };
    init.headers = { Authorization: `Bearer ${this.#key}`, ...headers };
    if (this.#project) init.headers["X-Project-Id"] = this.#project;
    if (body !== undefined) {
      init.headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(body);
    }
    const response = await this.#fetch(baseUrl + path + search(query), init);
    const location = response.headers.get("location");
    // The location contains a ticket.
    const isRedirect = response.status === 303 && location;
    return isRedirect ? this.open(new URL(location, baseUrl).href, request) : response;
  }

  /** Send a GET without the key, to a URL with a ticket. */
  open(url: string, request: Request): Promise<Response> {
    const { headers, signal } = request;
    const sent = { ...headers };
    delete sent["Idempotency-Key"];
    return this.#fetch(url, { headers: sent, signal: signal ?? null });
  }

  /** Upload a form to a presigned URL, without the key. */
  async upload(url: string, form: FormData, options: CallOptions): Promise<void> {
    await this.retry(RETRIES, options.signal, async () => {
      const init = { method: "POST", body: form, signal: options.signal ?? null };
      const response = await this.#fetch(url, init);
      const body = await response.text();
      if (!response.ok) throw errorOf(response, body);
    });
  }

  /**
   * Return the base URL of the streaming endpoint.
   *
   * A page cannot read the location of a redirect. The service itself names this endpoint, which
   * takes the same keys.
   */
  #findStreamUrl(signal?: AbortSignal): Promise<string> {
    this.#streamUrl ??= this.get<{ data: Me }>("/v1/me", {}, { signal }).then(({ data }) =>
      data.stream_url.replace(/\/+$/, ""),
    );
    this.#streamUrl.catch(() => (this.#streamUrl = undefined));
    return this.#streamUrl;
  }
}

/** Return a variable; undefined in a page, and in Deno without the permission to read it. */
function environment(name: string): string | undefined {
  try {
    return process.env[`RUNYARD_${name}`];
  } catch {
    return undefined;
  }
}

/** Return a random key. `crypto.randomUUID` is missing in pages without TLS. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("");
}

/** Return the query string. An array repeats its name; undefined values are left out. */
function search(query: object = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    [value].flat().map(item => [name, item]),
  );
  const text = new URLSearchParams(pairs.filter(([, item]) => item !== undefined)).toString();
  return text && `?${text}`;
}
