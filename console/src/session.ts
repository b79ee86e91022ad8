/** The visitor's access key, what it may do, and the client that uses it. */

import { computed, signal } from "@preact/signals";
import { KeyRefused, Runyard, type Me } from "runyard";

import { readAddress } from "./router.ts";

const STORED = "runyard.session";

interface Session {
  key: string;
  /** What the key may do, without a project; missing until the service has said it. */
  me?: Me;
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
/** Why the service has not said what the key may do. */
export const signInError = signal<unknown>(undefined);

session.subscribe(value => {
  if (value) sessionStorage.setItem(STORED, JSON.stringify(value));
  else sessionStorage.removeItem(STORED);
});

export const me = computed(() => session.value?.me);

// The address with a key can also be opened in a tab that has the console already.
addEventListener("hashchange", () => {
  const found = sessionOfAddress();
  if (!found) return;
  session.value = found;
  void refreshMe();
});

/** The client of the session. Pages exist only while there is one. */
export const client = computed(() => {
  const { key, project } = session.value ?? { key: "none" };
  return new Runyard({ url: location.origin, key, project });
});

/** Return whether the key has the scope. Without it, the page has no button for the action. */
export function can(scope: string): boolean {
  return !!me.value?.scopes.includes(scope);
}

/** Read what the key may do, and start its session. A key of one project needs no choice. */
export async function signIn(key: string, project?: string): Promise<void> {
  const found = await new Runyard({ url: location.origin, key }).me();
  const { projects } = found;
  const chosen = projects.includes(project ?? "") ? project : projects.length === 1 ? projects[0] : undefined;
  lockReason.value = "";
  session.value = { key, me: found, ...(chosen && { project: chosen }) };
}

/** Read again what the key of the session may do: its organization may have new projects. */
export async function refreshMe(): Promise<void> {
  if (!session.value) return;
  const { key, project } = session.value;
  signInError.value = undefined;
  try {
    await signIn(key, project);
  } catch (error) {
    lockIfRefused(error);
    signInError.value = error;
  }
}

export function chooseProject(project: string): void {
  const { project: _, ...rest } = session.value!;
  session.value = project ? { ...rest, project } : rest;
}

/** Forget the key; the address stays, so a new key continues on the same page. */
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
