import { RunCanceled, RunFailed, RunWaits, RunyardError, Timeout } from "../errors.js";
import type { Event, EventOfType, LoggedEvent } from "../events.js";
import { lines } from "../lines.js";
import { numberedPages, type NumberedPage, type Pages } from "../pages.js";
import { follow, type FollowOptions } from "../stream.js";
import type { Transport } from "../transport.js";
import type {
  Answer,
  Body,
  CallOptions,
  InputRequest,
  Query,
  Run,
  WriteOptions,
} from "../types.js";
import type { FileSource, Files } from "./files.js";

/** The fields of a new run except its input, and the options of the call. */
export interface CreateOptions
  extends Omit<Body<"createRun">, "input" | "background" | "stream">, WriteOptions {
  /** Files to upload first. */
  files?: FileSource[] | undefined;
}

/** Options of an answer. */
export interface AnswerOptions extends WriteOptions {
  /** The input request; needed if several of this type are open. */
  request_id?: string | undefined;
}

/** A page of the log. */
export interface EventPage extends NumberedPage<LoggedEvent> {
  pagination: Answer<"listRunEvents">["pagination"];
}

/** One line of an export. */
export interface ExportedRecord {
  kind: string;
  data: Record<string, unknown>;
}

/** `runyard.runs` */
export class Runs {
  #transport: Transport;
  #files: Files;

  constructor(transport: Transport, files: Files) {
    this.#transport = transport;
    this.#files = files;
  }

  /**
   * Start a run; return it when it ends or waits for a person.
   *
   * With `wait: false`, return the created run at once.
   */
  async create(
    input: Record<string, unknown>,
    { wait = true, ...options }: CreateOptions & { wait?: boolean } = {},
  ): Promise<Run> {
    const { files, signal, idempotencyKey, ...fields } = options;
    const body: Record<string, unknown> = { input, ...fields };
    if (!wait) body.background = true;
    if (files) {
      const uploads = files.map(file => this.#files.upload(file, { signal }));
      const uploaded = (await Promise.all(uploads)).map(file => file.id);
      body.file_ids = [...(fields.file_ids ?? []), ...uploaded];
    }
    const response = await this.#transport.create("/v1/runs", body, { signal, idempotencyKey });
    const run: Run = (await response.json()).data;
    // The API endpoint waits 25 s.
    return wait && response.status === 202 ? this.#whenStable(run.id, signal) : run;
  }

  /** Start a run and yield its events, as `follow` does. */
  async *stream(
    input: Record<string, unknown>,
    { deltas, ...options }: CreateOptions & Pick<FollowOptions, "deltas"> = {},
  ): AsyncGenerator<Event, void, void> {
    const run = await this.create(input, { ...options, wait: false });
    yield* this.follow(run.id, { deltas, signal: options.signal });
  }

  /**
   * Yield each event of the run once, until its terminal event.
   *
   * It reconnects by itself. Ending the iteration cancels nothing; `cancel` does.
   */
  async *follow(runId: string, options?: FollowOptions): AsyncGenerator<Event, void, void> {
    for await (const event of follow(this.#transport, runId, options)) {
      this.#addMethods(runId, event);
      yield event;
    }
  }

  /** Return a page of the log, or iterate over all events that are there now. */
  events(
    runId: string,
    query: Query<"listRunEvents"> = {},
    options?: CallOptions,
  ): Pages<LoggedEvent, EventPage> {
    return numberedPages(this.#transport, `${path(runId)}/events`, query, options);
  }

  /** Return the current state of the run. */
  async get(runId: string, options?: CallOptions): Promise<Run> {
    return (await this.#transport.get<{ data: Run }>(path(runId), {}, options)).data;
  }

  /** Return a page of runs, newest first, or iterate over all of them. */
  list(query: Query<"listRuns"> = {}, options?: CallOptions): Pages<Run, NumberedPage<Run>> {
    return numberedPages(this.#transport, "/v1/runs", query, options);
  }

  /** Cancel the run. An ended run is not changed. */
  async cancel(runId: string, options?: WriteOptions): Promise<void> {
    await this.#transport.create(`${path(runId)}/cancel`, undefined, options);
  }

  /** Delete an ended run permanently. */
  async delete(runId: string, options?: CallOptions): Promise<void> {
    await this.#transport.request("DELETE", path(runId), options);
  }

  /** Send the answer to an input request in the form of the API. */
  async input(runId: string, body: Body<"sendRunInput">, options?: WriteOptions): Promise<void> {
    await this.#transport.create(`${path(runId)}/input`, body, options);
  }

  /** Answer with a text, one of the `choices`, or the object of the `form`. */
  async answer(runId: string, feedback: unknown, options?: AnswerOptions): Promise<void> {
    await this.#respond(runId, "human_feedback", { feedback }, options);
  }

  /** Do not answer. The agent continues without the answer. */
  async decline(runId: string, options?: AnswerOptions): Promise<void> {
    await this.#respond(runId, "human_feedback", { declined: true }, options);
  }

  /** Approve a call, with changed values of some `editable_params`. */
  async approve(
    runId: string,
    options: AnswerOptions & { params?: Record<string, unknown> | undefined } = {},
  ): Promise<void> {
    const { params } = options;
    await this.#respond(runId, "approval_request", { is_approved: true, params }, options);
  }

  /** Deny a call. The model reads the reason. */
  async refuse(
    runId: string,
    options: AnswerOptions & { reason?: string | undefined } = {},
  ): Promise<void> {
    const decision = { is_approved: false, feedback: options.reason };
    await this.#respond(runId, "approval_request", decision, options);
  }

  /**
   * Wait for the end of the run; return its output.
   *
   * Throw RunFailed, RunCanceled, RunWaits if it waits for a person, or Timeout.
   */
  async result<Output = Record<string, unknown>>(
    runId: string,
    { timeoutMs, signal }: CallOptions & { timeoutMs?: number | undefined } = {},
  ): Promise<Output> {
    const limit = new AbortController();
    const stop = () => limit.abort(new Timeout(runId, timeoutMs!));
    const timer = timeoutMs === undefined ? undefined : setTimeout(stop, timeoutMs);
    try {
      const { signal: own } = limit;
      const run = await this.#whenStable(runId, signal ? AbortSignal.any([signal, own]) : own);
      if (run.status === "failed") throw new RunFailed(run);
      if (run.status === "canceled") throw new RunCanceled(run);
      if (run.status !== "completed") throw new RunWaits(run);
      return run.output as Output;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Yield all stored data of the run: the records of its export, without the last, `end`. */
  async *export(
    runId: string,
    { signal }: CallOptions = {},
  ): AsyncGenerator<ExportedRecord, void, void> {
    const response = await this.#transport.stream(`${path(runId)}/export`, signal);
    for await (const line of lines(response)) {
      const record: ExportedRecord = JSON.parse(line);
      if (record.kind === "end") return;
      yield record;
    }
    throw new RunyardError("RunyardError", "The export is truncated: repeat it.");
  }

  /** Follow the run until it has ended or waits for a person; return it. */
  async #whenStable(runId: string, signal?: AbortSignal): Promise<Run> {
    const isStable = (run: Run) => run.status === "awaiting_input" || run.ended_at;
    let run = await this.get(runId, { signal });
    if (isStable(run)) return run;
    for await (const event of follow(this.#transport, runId, { deltas: false, signal })) {
      if (event.type !== "run.paused") continue;
      run = await this.get(runId, { signal });
      if (isStable(run)) return run;
    }
    return this.get(runId, { signal });
  }

  async #respond(
    runId: string,
    type: InputRequest["type"],
    response: object,
    { request_id, ...options }: AnswerOptions = {},
  ): Promise<void> {
    request_id ??= await this.#openRequest(runId, type);
    const body = { type, data: { request_id, ...response } } as Body<"sendRunInput">;
    await this.input(runId, body, options);
  }

  /** Return the id of the only open input request of this type. */
  async #openRequest(runId: string, type: InputRequest["type"]): Promise<string> {
    const { input_requests = [] } = await this.get(runId);
    const ids = input_requests.filter(request => request.type === type).map(({ id }) => id);
    if (ids.length === 1) return ids[0]!;
    const message = ids.length ? `set request_id to one of ${ids.join(", ")}` : "none is open";
    throw new RunyardError("RunyardError", `Run ${runId} needs one open ${type}: ${message}.`);
  }

  /** Add the methods of the type. They are not enumerable, so the event stays plain JSON. */
  #addMethods(runId: string, event: Event): void {
    const add = (methods: Record<string, unknown>) => {
      for (const [name, value] of Object.entries(methods)) {
        Object.defineProperty(event, name, { value });
      }
    };
    const { id: request_id } = event.data as { id: string };
    if (event.type === "approval_request.created") {
      add({
        approve: (params?: Record<string, unknown>) => this.approve(runId, { request_id, params }),
        refuse: (reason?: string) => this.refuse(runId, { request_id, reason }),
      } satisfies Partial<EventOfType<"approval_request.created">>);
    } else if (event.type === "agent.human_feedback.requested") {
      add({
        answer: (feedback: unknown) => this.answer(runId, feedback, { request_id }),
        decline: () => this.decline(runId, { request_id }),
      } satisfies Partial<EventOfType<"agent.human_feedback.requested">>);
    }
  }
}

function path(runId: string): string {
  return `/v1/runs/${encodeURIComponent(runId)}`;
}
