/** Names for the generated types of `openapi.ts`. Fields have the names of the API. */

import type { components, operations } from "./openapi.js";

type Schemas = components["schemas"];

export type Me = Schemas["Me"];
export type Run = Schemas["Run"];
export type RunStatus = Schemas["Status"];
export type InputRequest = Schemas["InputRequest"];
/** An open input request with its run. */
export type OpenRequest = Answer<"listInputRequests">["data"][number];
export type Agent = Schemas["Agent"];
export type UsageRow = Schemas["UsageRow"];
export type Usage = Schemas["Usage"];
export type File = Schemas["File"];
export type Webhook = Schemas["Webhook"];
export type Delivery = Schemas["Delivery"];
export type Notification = Schemas["Notice"];
export type Thread = Schemas["Thread"];
export type ThreadMessage = Schemas["ThreadMessage"];
export type ThreadRunOptions = Schemas["ThreadsCreateRun"];
/** A key, without its secret. */
export type AccessKey = Schemas["AccessKey"];
/** A new key. Only the first response to its request has the secret. */
export type CreatedKey = Schemas["AccessKeyWithSecret"]["data"];
export type CreateKey = Schemas["CreateKey"];

/** The query parameters of an operation. */
export type Query<Operation extends keyof operations> = NonNullable<
  operations[Operation]["parameters"]["query"]
>;

/** The JSON body of a request of an operation. */
export type Body<Operation extends keyof operations> = operations[Operation] extends {
  requestBody?: infer Request;
}
  ? NonNullable<Request> extends { content: { "application/json": infer Content } }
    ? Content
    : never
  : never;

/** The JSON body of a response of an operation. */
export type Answer<
  Operation extends keyof operations,
  Status extends keyof operations[Operation]["responses"] = 200 &
    keyof operations[Operation]["responses"],
> = operations[Operation]["responses"][Status] extends {
  content: { "application/json": infer Content };
}
  ? Content
  : never;

/** Options of each call. */
export interface CallOptions {
  /** Ends the call, and never the run. */
  signal?: AbortSignal | undefined;
}

/** Options of each call that changes something. */
export interface WriteOptions extends CallOptions {
  /** By default a random key for each call, the same for its retries. */
  idempotencyKey?: string | undefined;
}
