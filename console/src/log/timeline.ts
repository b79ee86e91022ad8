/** Fold the events of a run into the rows that a reader sees. No event is lost: unknown types are rows. */

import type { Event } from "runyard";

export type Look = "work" | "wait" | "done" | "failed" | "canceled";

export interface Row {
  /** Stays the same while the row grows. */
  key: string;
  kind: "turn" | "call" | "question" | "step" | "note";
  title: string;
  look: Look;
  /** Milliseconds since the epoch; `ended` is undefined while the row is not at its end. */
  started: number;
  ended?: number;
  summary: string;
  /** The sequence of the first event. */
  sequence: number;
  thinking?: string;
  text?: string;
  input?: unknown;
  result?: unknown;
  error?: { code: string; message: string };
  usage?: Record<string, unknown>;
  model?: string;
  /** The input request of a question, and its answer. */
  request?: Question;
  data?: unknown;
}

export interface Question {
  id: string;
  isApproval: boolean;
  prompt: string;
  params: Record<string, unknown>;
  editable: string[];
  tool?: string;
  expiresAt?: string;
  state: "open" | "answered" | "expired";
  answeredBy?: string;
  isApproved?: boolean;
  feedback?: unknown;
  /** The arguments that were sent after an approval. */
  effective?: Record<string, unknown>;
}

export interface Pause {
  from: number;
  to?: number;
}

export class RunLog {
  readonly events: Event[] = [];
  readonly rows: Row[] = [];
  readonly pauses: Pause[] = [];
  status = "created";
  agent = "";
  startedAt = 0;
  endedAt?: number;
  output?: unknown;
  error?: { code: string; message: string };
  usage?: Record<string, any>;
  #rows = new Map<string, Row>();
  #previous = 0;

  get lastSequence(): number {
    return this.events.at(-1)?.sequence ?? 0;
  }

  get isEnded(): boolean {
    return this.endedAt !== undefined;
  }

  /** The questions that wait for an answer. */
  get open(): Question[] {
    return this.rows.flatMap(({ request }) => (request?.state === "open" ? [request] : []));
  }

  /** Add the next event. */
  add(event: Event): void {
    const at = Date.parse(event.timestamp);
    this.startedAt ||= at;
    this.events.push(event);
    this.#apply(event, event.data as Record<string, any>, at);
    this.#previous = at;
  }

  #apply({ type, sequence }: Event, data: Record<string, any>, at: number): void {
    const kind = type as string;
    if (kind.endsWith(".delta")) return this.#delta(kind, data, sequence);
    switch (kind) {
      case "run.started":
        this.status = "started";
        return;
      case "run.paused":
        this.status = data.reason === "sleeping" ? "paused" : "awaiting_input";
        this.pauses.push({ from: at });
        return;
      case "run.resumed": {
        this.status = "started";
        const pause = this.pauses.at(-1);
        if (pause) pause.to ??= at;
        return;
      }
      case "run.completed":
      case "run.failed":
      case "run.canceled":
        return this.#end(kind.slice(4), data, at);
      case "agent.message.completed": {
        const turn = this.#turn(data.iteration, sequence);
        Object.assign(turn, { text: data.content, usage: data.usage, model: data.model });
        turn.summary = data.content || callsOf(data);
        return finish(turn, at, "done");
      }
      case "agent.tool_call.started": {
        const row = this.#row(`call ${data.id}`, "call", data.tool?.name ?? "call", at, sequence);
        Object.assign(row, { input: data.input, summary: compact(data.input) });
        return;
      }
      case "agent.tool_call.progress": {
        const row = this.#rows.get(`call ${data.id}`);
        if (row) row.summary = data.message ?? `${data.progress}${data.total ? ` of ${data.total}` : ""}`;
        return;
      }
      case "agent.tool_call.completed":
      case "agent.tool_call.failed":
        return this.#outcome(`call ${data.id}`, "call", data.tool?.name, data, at, sequence);
      case "agent.step.started":
        this.#row(`step ${data.key}`, "step", data.name, at, sequence);
        return;
      case "agent.step.completed":
      case "agent.step.failed":
        return this.#outcome(`step ${data.key}`, "step", data.name, data, at, sequence);
      case "approval_request.created":
      case "agent.human_feedback.requested":
        return this.#ask(kind === "approval_request.created", data, at, sequence);
      case "approval_request.resolved":
      case "agent.human_feedback.received":
      case "input_request.expired":
        return this.#answer(kind, data, at);
      default:
        return this.#note(kind, data, at, sequence);
    }
  }

  #delta(type: string, data: Record<string, any>, sequence: number): void {
    const turn = this.#turn(data.iteration, sequence);
    if (type === "agent.reasoning.delta") turn.thinking = (turn.thinking ?? "") + data.delta;
    else turn.summary = turn.text = (turn.text ?? "") + data.delta;
  }

  /** Return the turn. It starts when the event before it was recorded. */
  #turn(iteration: number, sequence: number): Row {
    return this.#row(`turn ${iteration}`, "turn", `turn ${iteration}`, this.#previous, sequence);
  }

  #outcome(key: string, kind: Row["kind"], title: string, data: Record<string, any>, at: number, sequence: number): void {
    const row = this.#row(key, kind, title ?? kind, at, sequence);
    row.input ??= data.input;
    row.error = data.error;
    if (data.error) row.summary = `${data.error.code}: ${data.error.message}`;
    else {
      row.result = data.result;
      row.summary = typeof data.result === "string" ? data.result : compact(data.result);
    }
    finish(row, at, data.error ? "failed" : "done");
  }

  #ask(isApproval: boolean, data: Record<string, any>, at: number, sequence: number): void {
    const tool = data.tool?.name as string | undefined;
    const row = this.#row(`question ${data.id}`, "question", tool ?? "question", at, sequence);
    row.look = "wait";
    row.summary = data.prompt;
    const call = this.rows.findLast(each => each.kind === "call" && each.ended === undefined && each.title === tool);
    if (call) call.look = "wait";
    row.request = {
      id: data.id,
      isApproval,
      prompt: data.prompt,
      params: data.params ?? {},
      editable: data.editable_params ?? [],
      state: "open",
      ...(tool && { tool }),
      ...(data.expires_at && { expiresAt: data.expires_at }),
    };
  }

  #answer(type: string, data: Record<string, any>, at: number): void {
    const row = this.#rows.get(`question ${data.id}`);
    if (!row?.request) return;
    if (type === "input_request.expired") {
      row.request.state = "expired";
      row.summary = `expired: ${data.on_expiry}`;
      return finish(row, at, "failed");
    }
    Object.assign(row.request, {
      state: "answered",
      answeredBy: data.answered_by,
      isApproved: data.is_approved,
      feedback: data.feedback,
      effective: data.effective_params,
    });
    row.summary = answerSummary(row.request);
    finish(row, at, data.is_approved === false ? "canceled" : "done");
  }

  #note(type: string, data: Record<string, any>, at: number, sequence: number): void {
    const row = this.#row(`event ${sequence}`, "note", type, at, sequence);
    row.data = data;
    row.summary = data.message ?? data.reason ?? data.name ?? data.code ?? compact(data);
    finish(row, at, type === "run.retrying" || type === "run.recovered" ? "wait" : "done");
  }

  #end(status: string, data: Record<string, any>, at: number): void {
    Object.assign(this, { status, endedAt: at, output: data.output, error: data.error, usage: data.usage });
    const pause = this.pauses.at(-1);
    if (pause) pause.to ??= at;
    for (const row of this.rows) {
      if (row.ended === undefined) finish(row, at, status === "canceled" ? "canceled" : "failed");
    }
  }

  #row(key: string, kind: Row["kind"], title: string, started: number, sequence: number): Row {
    let row = this.#rows.get(key);
    if (!row) {
      row = { key, kind, title, look: "work", started, summary: "", sequence };
      this.#rows.set(key, row);
      this.rows.push(row);
    }
    return row;
  }
}

function finish(row: Row, at: number, look: Look): void {
  row.ended = at;
  row.look = look;
}

function callsOf(message: Record<string, any>): string {
  const calls: { name: string }[] = message.tool_calls ?? [];
  return calls.length ? `calls ${calls.map(({ name }) => name).join(", ")}` : "";
}

/** Return what was answered in one line. */
export function answerSummary({ isApproval, isApproved, feedback, answeredBy }: Question): string {
  const what = isApproval ? (isApproved ? "approved" : "refused") : "answered";
  const said = feedback === undefined ? "" : `: ${typeof feedback === "string" ? feedback : compact(feedback)}`;
  return `${what}${answeredBy ? ` by ${answeredBy}` : ""}${said}`;
}

/** Return a value in one short line. */
export function compact(value: unknown): string {
  if (value === undefined) return "";
  const text = JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** Positions on the time at work: each pause takes no time. */
export class Axis {
  readonly work: number;
  #log: RunLog;
  #until: number;

  constructor(log: RunLog, until: number) {
    this.#log = log;
    this.#until = log.endedAt ?? until;
    this.work = Math.max(1, this.#workUntil(this.#until));
  }

  /** Return the position of a time, from 0 to 1. */
  position(at: number): number {
    return Math.min(1, Math.max(0, this.#workUntil(at) / this.work));
  }

  /** The milliseconds for which the run has waited. */
  get waited(): number {
    return this.#until - this.#log.startedAt - this.work;
  }

  #workUntil(at: number): number {
    let paused = 0;
    for (const { from, to = this.#until } of this.#log.pauses) {
      if (from < at) paused += Math.min(to, at) - from;
    }
    return at - this.#log.startedAt - paused;
  }
}
