/** Data of a page that is read again and again. A hidden tab sends no requests. */

import { signal, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ApiError, RateLimited } from "runyard";

import { lockIfRefused } from "./session.ts";

export interface Loaded<Data> {
  data?: Data;
  /** When `data` was read, in milliseconds since the epoch. */
  at: number;
  error?: unknown;
  isLoading: boolean;
}

const LIVE_MS = 5000;
const IDLE_MS = 15_000;

/**
 * Read the data now, and again after 5 s while something changes, otherwise after 15 s.
 *
 * `key` names the request: another key starts again. A 429 doubles the pause. Final data are not read again.
 */
export function usePolled<Data>(
  key: string,
  load: (signal: AbortSignal) => PromiseLike<Data>,
  isLive: (data: Data) => boolean = () => false,
  isFinal: (data: Data) => boolean = () => false,
): [Signal<Loaded<Data>>, () => void] {
  const state = useMemo(() => signal<Loaded<Data>>({ at: 0, isLoading: true }), [key]);
  const refresh = useMemo(() => ({ now: () => {} }), [key]);
  useEffect(() => {
    const stopped = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let factor = 1;
    async function read(): Promise<void> {
      clearTimeout(timer);
      if (document.hidden) return;
      state.value = { ...state.value, isLoading: true };
      try {
        const data = await load(stopped.signal);
        factor = 1;
        if (stopped.signal.aborted) return;
        state.value = { data, at: Date.now(), isLoading: false };
        if (isFinal(data)) return;
      } catch (error) {
        if (stopped.signal.aborted) return;
        lockIfRefused(error);
        if (error instanceof RateLimited) factor = Math.min(factor * 2, 16);
        state.value = { ...state.value, error, isLoading: false };
        // The answer to the same request stays the same.
        if (error instanceof ApiError && error.status < 500 && error.status !== 429) return;
      }
      const { data } = state.value;
      const pause = data !== undefined && isLive(data) ? LIVE_MS : IDLE_MS;
      if (!stopped.signal.aborted) timer = setTimeout(read, pause * factor);
    }
    refresh.now = () => void read();
    function onVisible(): void {
      const { data } = state.value;
      if (!document.hidden && (data === undefined || !isFinal(data))) void read();
    }
    document.addEventListener("visibilitychange", onVisible);
    void read();
    return () => {
      stopped.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [key]);
  return [state, () => refresh.now()];
}

/** Read the data once: it changes only with a deployment. A failure is repeated after 15 s. */
export function useLoaded<Data>(
  key: string,
  load: (signal: AbortSignal) => PromiseLike<Data>,
): [Signal<Loaded<Data>>, () => void] {
  return usePolled(key, load, () => false, () => true);
}

/** The time, for relative times. It stops in a hidden tab. */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);
