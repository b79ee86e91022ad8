/** The field for the next message. It waits while a run is active. */

import { useState } from "preact/hooks";

import { Choice } from "./choice.tsx";

interface Props {
  /** Why a message cannot be sent now, or "". */
  wait: string;
  onSend: (content: string) => Promise<boolean>;
}

export function Composer({ wait, onSend }: Props) {
  const [text, setText] = useState("");
  const [isSending, setSending] = useState(false);
  const isReady = text.trim() !== "" && !wait && !isSending;
  async function send(event: Event): Promise<void> {
    event.preventDefault();
    if (!isReady) return;
    setSending(true);
    // A message that was not sent stays in the field.
    if (await onSend(text)) setText("");
    setSending(false);
  }
  function onKey(event: KeyboardEvent): void {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) void send(event);
  }
  return (
    <form class="composer card" onSubmit={send} aria-label="Message">
      <label>
        <span class="hidden">Message</span>
        <textarea rows={2} value={text} placeholder="Message" onInput={event => setText(event.currentTarget.value)} onKeyDown={onKey} />
      </label>
      <div class="filters">
        <Choice />
        <span class="spacer" />
        <span class="meta" role="status">{wait}</span>
        <button class="primary" disabled={!isReady}>{isSending ? "Sending…" : "Send"}</button>
      </div>
    </form>
  );
}
