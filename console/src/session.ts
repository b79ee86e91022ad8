/** The visitor's access key and the client that uses it. The key is in memory and sessionStorage. */

import { computed, signal } from "@preact/signals";
import { KeyRefused, Runyard } from "runyard";

const STORED = "runyard.session";

interface Session {
  key: string;
  project?: string;
}

/** Return the session of the address `#key=…`, or of this tab. The key leaves the address at once. */
function initialSession(): Session | null {
  const found = /^#key=([^&]+)$/.exec(location.hash);
  if (found) {
    history.replaceState(null, "", `${location.pathname}#/`);
    return { key: decodeURIComponent(found[1]!) };
  }
  try {
    return JSON.parse(sessionStorage.getItem(STORED) ?? "null");
  } catch {
    return null;
  }
}

export const session = signal<Session | null>(initialSession());
/** Why the visitor has to enter a key again. */
export const lockReason = signal("");

session.subscribe(value => {
  if (value) sessionStorage.setItem(STORED, JSON.stringify(value));
  else sessionStorage.removeItem(STORED);
});

/** The client of the session. Pages exist only while there is one. */
export const client = computed(() => {
  const { key, project } = session.value ?? { key: "none" };
  return new Runyard({ url: location.origin, key, project });
});

/** Forget the key; the address stays, so a new key continues at the same place. */
export function lock(reason = ""): void {
  lockReason.value = reason;
  session.value = null;
}

/** Lock the console if the error says that the key is not valid any more. */
export function lockIfRefused(error: unknown): void {
  if (error instanceof KeyRefused && error.status === 401 && session.value) {
    lock("The service does not accept this key any more.");
  }
}
