/** The types of events, selected by `type`. */

import type { components } from "./openapi.js";

type Schemas = components["schemas"];
type Documented = Exclude<Schemas["Event"], Schemas["UnknownEvent"]>;

/** Methods of the events that ask a person. They answer the input request of the event. */
interface EventMethods {
  "approval_request.created": {
    /** Approve the call, with changed values of some `editable_params`. */
    approve(params?: Record<string, unknown>): Promise<void>;
    /** Deny the call. The model reads the reason. */
    refuse(reason?: string): Promise<void>;
  };
  "agent.human_feedback.requested": {
    /** Answer with a text, one of the `choices`, or the object of the `form`. */
    answer(feedback: unknown): Promise<void>;
    /** Do not answer. The agent continues without the answer. */
    decline(): Promise<void>;
  };
}

type WithMethods<E extends Documented> = E extends { type: infer Type extends keyof EventMethods }
  ? E & EventMethods[Type]
  : E;

/** The events that this version knows. */
export type KnownEvent = WithMethods<Documented>;

/** Any type that this version does not know. The value at run time is the type itself. */
declare enum UnknownType {
  Any = "(unknown)",
}

/** An event of a type that this version does not know. */
export interface UnknownEvent extends Omit<Schemas["UnknownEvent"], "type"> {
  type: UnknownType;
}

/** An event of a run. `switch (event.type)` selects the type of `event.data`. */
export type Event = KnownEvent | UnknownEvent;

/** The event of this type, for example `EventOfType<"run.completed">`. */
export type EventOfType<Type extends KnownEvent["type"]> = Extract<KnownEvent, { type: Type }>;

/** An event of a page of the log. It has no methods. */
export type LoggedEvent = Documented | UnknownEvent;
