/** A tool of an agent: what a call changes, and when a person must approve it. */

import type { Agent } from "runyard";

import { Json } from "../../components/json.tsx";
import { duration, visible } from "../../format.ts";

type AgentTool = Agent["tools"][number];
type Approval = AgentTool["approval"];

const EFFECTS: Record<string, string> = {
  none: "changes nothing",
  idempotent: "safe to repeat",
  unsafe: "unsafe",
  hints: "as its server says",
};

export function Tool({ tool }: { tool: AgentTool }) {
  return (
    <details class="tool">
      <summary>
        <strong>{visible(tool.name ?? tool.server ?? tool.kind)}</strong>
        <span class={`chip ${tool.effect === "unsafe" ? "failed" : "plain"}`}>{EFFECTS[tool.effect] ?? tool.effect}</span>
        {tool.approval && <span class="chip wait">{approvalText(tool.approval)}</span>}
        <span class="summary" dir="auto">{visible(tool.description ?? `${tool.kind} tools`)}</span>
      </summary>
      <div class="tool-facts">
        {tool.description && <p dir="auto">{visible(tool.description)}</p>}
        <ApprovalFacts approval={tool.approval} />
        {tool.server && (
          <p class="meta">
            Tools of the MCP server {visible(tool.server)}
            {!!tool.include?.length && `: ${visible(tool.include.join(", "))}`}
            {!!tool.exclude?.length && `, without ${visible(tool.exclude.join(", "))}`}
          </p>
        )}
        {tool.overrides && <><h3>Exceptions</h3><Json value={tool.overrides} label="exceptions" /></>}
        {tool.parameters && <><h3>Arguments</h3><Json value={tool.parameters} label="arguments" /></>}
      </div>
    </details>
  );
}

function approvalText(approval: Approval): string {
  if (typeof approval !== "object") return "approval as its server says";
  return approval.when ? "approval on condition" : "every call waits for approval";
}

function ApprovalFacts({ approval }: { approval: Approval }) {
  if (typeof approval !== "object") return null;
  const { when, editable, expires_in, on_expiry } = approval;
  return (
    <>
      <p class="meta">
        {editable.length ? `Editable: ${visible(editable.join(", "))}. ` : "No argument is editable. "}
        {expires_in ? `After ${duration(expires_in * 1000)}: ${on_expiry.replaceAll("_", " ")}.` : "It does not expire."}
      </p>
      {when && <><h3>Waits when</h3><Json value={when} label="condition" /></>}
    </>
  );
}
