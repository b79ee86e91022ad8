/** The types of events, told apart by `type`. */

import type { Usage } from "./types.js";

interface EventOf<Type, Data> {
  /** A UUID. */
  id: string;
  type: Type;
  /** The position in the log, from 1, without gaps. */
  sequence: number;
  /** RFC 3339, UTC, with milliseconds. */
  timestamp: string;
  data: Data;
}

type Tool = { id: string; input: Record<string, unknown>; iteration: number; tool: { name: string; type: string } };
type Step = { key: string; digest: string; name: string; effect: string };
type Question = { id: string; prompt: string; params: Record<string, unknown>; expires_at?: string };

/** The data of each known event. */
interface Data {
  "run.started": { id: string };
  "run.paused": { id: string; reason?: string; until?: string };
  "run.resumed": { id: string };
  "run.recovered": { id: string; reason: string; attempt: number };
  "run.cancel_requested": { id: string; requested_by: string };
  "run.completed": { id: string; output: Record<string, unknown>; usage: Usage };
  "run.failed": { id: string; error: { code: string; message: string }; usage: Usage };
  "run.canceled": { id: string };
  "agent.tools.listed": { server: string; tools: Record<string, unknown>[] };
  "agent.reasoning.delta": { delta: string; iteration: number };
  "agent.response.delta": { delta: string; iteration: number };
  "agent.message.completed": { content: string; iteration: number; usage: Record<string, unknown>; model: string };
  "agent.context.compacted": { iteration: number; reason: string; summary: string };
  "agent.tool_call.started": Tool;
  "agent.tool_call.progress": { id: string; progress: number; total?: number; message?: string };
  "agent.tool_call.input_required": { id: string; round: number; requests: Record<string, unknown> };
  "agent.tool_call.completed": Tool & { result: string };
  "agent.tool_call.failed": Tool & { error: { code: string; message: string } };
  "agent.step.started": Step;
  "agent.step.completed": Step & { result: unknown };
  "agent.step.failed": Step & { error: { code: string; message: string } };
  "agent.emitted": { key: string; name: string; data: unknown };
  "agent.human_feedback.requested": Question;
  "agent.human_feedback.received": { id: string; feedback?: unknown; answered_by: string };
  "approval_request.created": Question & { editable_params: string[] };
  "approval_request.resolved": { id: string; is_approved: boolean; answered_by: string };
  "input_request.expired": { id: string; on_expiry: string };
}

/** Methods of the events that ask a person. They answer the input request of the event. */
export interface EventMethods {
  "approval_request.created": {
    /** Approve the call, with changed values of some `editable_params`. */
    approve(params?: Record<string, unknown>): Promise<void>;
    /** Deny the call. The model reads the reason. */
    refuse(reason?: string): Promise<void>;
  };
  "agent.human_feedback.requested": {
    /** Answer with a text, one of the `choices`, or the object of the `form`. */
    answer(feedback: unknown): Promise<void>;
  };
}

type Methods<Type> = Type extends keyof EventMethods ? EventMethods[Type] : unknown;

/** The events that this version knows. */
export type KnownEvent = { [Type in keyof Data]: EventOf<Type, Data[Type]> & Methods<Type> }[keyof Data];

/** An event of a type that this version does not know. */
export type UnknownEvent = EventOf<string & { readonly unknown: true }, Record<string, unknown>>;

/** An event of a run. `switch (event.type)` selects the type of `event.data`. */
export type Event = KnownEvent | UnknownEvent;

/** The event of this type. */
export type EventOfType<Type extends KnownEvent["type"]> = Extract<KnownEvent, { type: Type }>;
