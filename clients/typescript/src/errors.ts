import type { InputRequest, Run } from "./types.js";

/** The base of every error of this client. No error contains the access key. */
export class RunyardError extends Error {
  constructor(name: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = name;
  }
}

/** The facts of an error response. */
export interface ErrorFacts {
  readonly status: number;
  /** The code of the API, for example `not_found`. */
  readonly code: string;
  readonly message: string;
  /** The wrong fields, each with what is wrong; a conflict names who has answered. */
  readonly details: Readonly<Record<string, string>>;
  /** The id that finds the request in the log of the service. */
  readonly requestId: string | undefined;
  /** The seconds after which the service accepts the request again, if it says so. */
  readonly retryAfter: number | undefined;
}

/** The service has responded with an error. */
export class ApiError extends RunyardError implements ErrorFacts {
  readonly status: number;
  readonly code: string;
  readonly details: Readonly<Record<string, string>>;
  readonly requestId: string | undefined;
  readonly retryAfter: number | undefined;

  constructor(facts: ErrorFacts, name = "ApiError") {
    const details = Object.entries(facts.details).map(([field, issue]) => `; ${field}: ${issue}`);
    super(name, `${facts.status} ${facts.code}: ${facts.message}${details.join("")}`);
    this.status = facts.status;
    this.code = facts.code;
    this.details = facts.details;
    this.requestId = facts.requestId;
    this.retryAfter = facts.retryAfter;
  }
}

/** 404: nothing has this id, or the key has no access to it. */
export class NotFound extends ApiError {}

/** 401 or 403: the key is missing, unknown or expired, or it lacks a scope. */
export class KeyRefused extends ApiError {}

/** 409: the request contradicts the current state, for example a second, different answer. */
export class Conflict extends ApiError {}

/** 429: the service still limits the rate of requests after the retries. */
export class RateLimited extends ApiError {}

/** There is no connection to the service, after the retries. `cause` is the last failure. */
export class ConnectionLost extends RunyardError {
  constructor(url: string, cause: unknown) {
    super("ConnectionLost", `No response from ${new URL(url).origin}.`, { cause });
  }
}

/** A stream has left out or repeated events. Read `runs.events` to see the whole log. */
export class GapError extends RunyardError {
  constructor(
    readonly runId: string,
    readonly expected: number,
    readonly received: number,
  ) {
    super("GapError", `Run ${runId} sent event ${received}; event ${expected} comes next.`);
  }
}

/** `runs.result`: the run has failed. */
export class RunFailed extends RunyardError {
  /** The code of the failure, for example `limit_exceeded`. */
  readonly code: string;

  constructor(readonly run: Run) {
    super("RunFailed", `Run ${run.id} failed: ${run.error?.code}: ${run.error?.message}`);
    this.code = run.error?.code ?? "";
  }
}

/** `runs.result`: the run waits for a person. */
export class RunWaits extends RunyardError {
  readonly inputRequests: readonly InputRequest[];

  constructor(readonly run: Run) {
    super("RunWaits", `Run ${run.id} waits for a person: answer its input requests first.`);
    this.inputRequests = run.input_requests ?? [];
  }
}

/** `runs.result`: a caller has canceled the run. */
export class RunCanceled extends RunyardError {
  constructor(readonly run: Run) {
    super("RunCanceled", `Run ${run.id} was canceled.`);
  }
}

/** `runs.result`: the run has not ended in time. It continues. */
export class Timeout extends RunyardError {
  constructor(
    readonly runId: string,
    milliseconds: number,
  ) {
    super("Timeout", `Run ${runId} has not ended after ${milliseconds} ms. It continues.`);
  }
}

/** `webhooks.verify`: the signature is wrong, or the request is too old. */
export class WebhookRejected extends RunyardError {
  constructor(message: string) {
    super("WebhookRejected", message);
  }
}
