/** Ask for the access key. */

import { useState } from "preact/hooks";

import { Failure } from "../components/basics.tsx";
import { lockReason, signIn } from "../session.ts";

export function KeyPage() {
  const [error, setError] = useState<unknown>();
  const [isChecking, setChecking] = useState(false);

  async function open(event: Event): Promise<void> {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    setChecking(true);
    setError(undefined);
    try {
      await signIn(String(fields.get("key")).trim());
    } catch (failure) {
      setError(failure);
    } finally {
      setChecking(false);
    }
  }

  return (
    <main class="key-page">
      <h1>Runyard</h1>
      {lockReason.value && <p class="notice stale">{lockReason.value}</p>}
      <form onSubmit={open}>
        <label class="field">
          <span class="label">Access key</span>
          <input name="key" type="password" autocomplete="off" spellcheck={false} required autofocus />
          <span class="meta">It stays in this tab. Closing the tab forgets it.</span>
        </label>
        <div class="actions">
          <button class="primary" disabled={isChecking}>{isChecking ? "Checking…" : "Open"}</button>
        </div>
      </form>
      {!!error && <Failure error={error} />}
      <p class="meta">
        No key yet? <code>runyard keys create --user-id you --days 30</code>
      </p>
    </main>
  );
}
