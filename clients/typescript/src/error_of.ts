import {
  ApiError,
  Conflict,
  KeyRefused,
  NotFound,
  RateLimited,
  type ErrorFacts,
} from "./errors.js";

/** The class of each status, and its name, which minifying changes. */
const CLASSES: Record<number, [typeof ApiError, string]> = {
  401: [KeyRefused, "KeyRefused"],
  403: [KeyRefused, "KeyRefused"],
  404: [NotFound, "NotFound"],
  409: [Conflict, "Conflict"],
  429: [RateLimited, "RateLimited"],
};

/** Return the error for a response with this body. It accepts the errors of both APIs. */
export function errorOf(response: Response, body: string): ApiError {
  let content: any = {};
  try {
    content = JSON.parse(body) ?? {};
  } catch {
    // A proxy has responded with something else than JSON.
  }
  const error = content.error ?? content;
  const facts: ErrorFacts = {
    status: response.status,
    code: error.code ?? "unknown",
    message: error.message ?? response.statusText,
    details: error.details ?? {},
    requestId: response.headers.get("x-request-id") ?? error.trace_id,
    retryAfter: retryAfterOf(response),
  };
  const [ErrorClass, name] = CLASSES[response.status] ?? [ApiError];
  return new ErrorClass(facts, name);
}

/** Return the seconds of `Retry-After`, a number or a date, or undefined. */
function retryAfterOf(response: Response): number | undefined {
  const value = response.headers.get("retry-after");
  if (!value) return undefined;
  const seconds = +value;
  const left = Number.isNaN(seconds) ? (Date.parse(value) - Date.now()) / 1000 : seconds;
  return Number.isNaN(left) ? undefined : Math.max(left, 0);
}
