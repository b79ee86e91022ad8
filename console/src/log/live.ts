/** The log of a run as it grows. Changes are painted once a frame. */

import { signal, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { client, lockIfRefused } from "../session.ts";
import { RunLog } from "./timeline.ts";

export interface LiveLog {
  log: RunLog;
  /** Grows with each change of `log`, so that components render again. */
  version: number;
  connection: "connecting" | "live" | "ended" | "failed";
  error?: unknown;
}

/** Follow the run from its first event, as long as the page shows it. */
export function useLiveLog(runId: string): Signal<LiveLog> {
  const state = useMemo(() => {
    return signal<LiveLog>({ log: new RunLog(), version: 0, connection: "connecting" });
  }, [runId]);
  useEffect(() => {
    const stopped = new AbortController();
    let frame = 0;
    function paint(connection: LiveLog["connection"], error?: unknown): void {
      cancelAnimationFrame(frame);
      frame = 0;
      const { log, version } = state.value;
      state.value = { log, version: version + 1, connection, error };
    }
    async function follow(): Promise<void> {
      const { log } = state.value;
      try {
        for await (const event of client.value.runs.follow(runId, { signal: stopped.signal })) {
          log.add(event);
          if (!frame) frame = requestAnimationFrame(() => paint("live"));
        }
        paint("ended");
      } catch (error) {
        if (stopped.signal.aborted) return;
        lockIfRefused(error);
        paint("failed", error);
      }
    }
    void follow();
    return () => {
      stopped.abort();
      cancelAnimationFrame(frame);
    };
  }, [runId]);
  return state;
}
