/** The visitor's access key and the client that uses it. The key is in memory and sessionStorage. */

import { computed, signal } from "@preact/signals";
import { KeyRefused, Runyard } from "runyard";

import { readAddress } from "./router.ts";

const STORED = "runyard.session";

interface Session {
  key: string;
  project?: string;
}

/** Return the session of the address `#key=…`, or null. The key leaves the address at once. */
function sessionOfAddress(): Session | null {
  const found = /^#key=([^&]+)$/.exec(location.hash);
  if (!found) return null;
  history.replaceState(null, "", `${location.pathname}#/`);
  readAddress();
  return { key: decodeURIComponent(found[1]!) };
}

/** Return the session of the address, or of this tab. */
function initialSession(): Session | null {
  const found = sessionOfAddress();
  if (found) return found;
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

// The address with a key can also be opened in a tab that has the console already.
addEventListener("hashchange", () => {
  const found = sessionOfAddress();
  if (found) session.value = found;
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
