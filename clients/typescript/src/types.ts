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
export interface AccessKey {
  id: string;
  org_id: string;
  /** Missing for a key of the organization. */
  project_id?: string;
  scopes: string[];
  /** The only agent of the runs of the key. */
  agent?: string;
  user_id?: string;
  user_name?: string;
  user_email?: string;
  created_at: string;
  valid_until?: string;
  last_used_at?: string;
  revoked_at?: string;
}

/** The fields of a new key. */
export interface CreateKey
  extends Partial<Pick<AccessKey, "project_id" | "scopes" | "agent">>,
    Partial<Pick<AccessKey, "user_id" | "user_name" | "user_email">> {
  /** The days until the key expires. */
  days?: number;
}

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
