import type { Event } from "../events.js";
import { linkedPages, type Pages } from "../pages.js";
import type { FollowOptions } from "../stream.js";
import type { Transport } from "../transport.js";
import type {
  Answer,
  CallOptions,
  Query,
  Thread,
  ThreadMessage,
  ThreadRunOptions,
  WriteOptions,
} from "../types.js";
import type { Runs } from "./runs.js";

/** Options of a conversation. */
export interface ChatOptions extends ThreadRunOptions {
  /** The thread; by default the first message creates one. */
  thread_id?: string | undefined;
  /** The title of a new thread. */
  title?: string | undefined;
}

/** `runyard.threads` */
export class Threads {
  #transport: Transport;
  #runs: Runs;

  constructor(transport: Transport, runs: Runs) {
    this.#transport = transport;
    this.#runs = runs;
  }

  /** Create a thread. */
  create({
    title,
    ...options
  }: WriteOptions & { title?: string | undefined } = {}): Promise<Thread> {
    return this.#transport.post(BASE, { title }, options);
  }

  /** Return a page of threads, newest first, or iterate over all of them. */
  list(query: Query<"listThreads"> = {}, options?: CallOptions): Pages<Thread, Thread[]> {
    return linkedPages(this.#transport, BASE, query, options);
  }

  /** Return the thread. */
  get(threadId: string, options?: CallOptions): Promise<Thread> {
    return this.#transport.get(path(threadId), {}, options);
  }

  /** Change the title. */
  async update(
    threadId: string,
    { title, ...options }: CallOptions & { title: string | null },
  ): Promise<Thread> {
    const request = { body: { title }, ...options };
    return (await this.#transport.request("PATCH", path(threadId), request)).json();
  }

  /** Delete the thread permanently. */
  async delete(threadId: string, options?: CallOptions): Promise<void> {
    await this.#transport.request("DELETE", path(threadId), options);
  }

  /** Return a page of messages, oldest first, or iterate over all of them. */
  messages(
    threadId: string,
    query: Query<"listMessages"> = {},
    options?: CallOptions,
  ): Pages<ThreadMessage, ThreadMessage[]> {
    return linkedPages(this.#transport, `${path(threadId)}/messages`, query, options);
  }

  /** Append a message of the user. It starts no run. */
  post(threadId: string, content: string, options?: WriteOptions): Promise<ThreadMessage> {
    return this.#transport.post(`${path(threadId)}/messages`, { content }, options);
  }

  /** Start a run that responds to the messages; follow it with `runs.follow`. */
  run(
    threadId: string,
    { signal, idempotencyKey, ...fields }: ThreadRunOptions & WriteOptions = {},
  ): Promise<Answer<"createThreadRun", 201>> {
    return this.#transport.post(`${path(threadId)}/runs`, fields, { signal, idempotencyKey });
  }

  /** Return a page of the thread's runs, newest first, or iterate over all of them. */
  runs(
    threadId: string,
    query: Query<"listThreadRuns"> = {},
    options?: CallOptions,
  ): Pages<Answer<"listThreadRuns">[number], Answer<"listThreadRuns">> {
    return linkedPages(this.#transport, `${path(threadId)}/runs`, query, options);
  }

  /** Return all versions of all personas. */
  personas(options?: CallOptions): Promise<Answer<"listPersonas">> {
    return this.#transport.get("/threads/v1/personas", {}, options);
  }

  /** Return the routes, which set provider and model. */
  routes(options?: CallOptions): Promise<Answer<"listRoutes">> {
    return this.#transport.get("/threads/v1/routes", {}, options);
  }

  /** Return a conversation. */
  chat(options?: ChatOptions): Chat {
    return new Chat(this, this.#runs, options);
  }
}

/** A conversation in a thread. */
export class Chat {
  /** The thread; undefined before the first message of a new conversation. */
  threadId: string | undefined;
  /** The last run. */
  runId: string | undefined;
  #threads: Threads;
  #runs: Runs;
  #title: string | undefined;
  #run: ThreadRunOptions;

  constructor(threads: Threads, runs: Runs, { thread_id, title, ...run }: ChatOptions = {}) {
    this.threadId = thread_id;
    this.#threads = threads;
    this.#runs = runs;
    this.#title = title;
    this.#run = run;
  }

  /** Append a message, start a run, and yield its events. */
  async *send(
    content: string,
    { deltas, signal }: Omit<FollowOptions, "after"> = {},
  ): AsyncGenerator<Event, void, void> {
    this.threadId ??= (await this.#threads.create({ title: this.#title, signal })).id;
    await this.#threads.post(this.threadId, content, { signal });
    this.runId = (await this.#threads.run(this.threadId, { ...this.#run, signal })).run_id;
    yield* this.#runs.follow(this.runId, { deltas, signal });
  }
}

const BASE = "/threads/v1/threads";

function path(threadId: string): string {
  return `${BASE}/${encodeURIComponent(threadId)}`;
}
