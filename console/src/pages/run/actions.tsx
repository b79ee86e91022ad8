/** What can be done with a run: cancel, start again, export, delete. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Run } from "runyard";

import { agentOf, Failure, Skeleton } from "../../components/basics.tsx";
import { download } from "../../download.ts";
import type { RunLog } from "../../log/timeline.ts";
import { useLoaded } from "../../polling.ts";
import { href } from "../../router.ts";
import { can, client, lockIfRefused } from "../../session.ts";
import { TryIt } from "../agents/try_it.tsx";

interface Props {
  id: string;
  log: RunLog;
  run: Run | undefined;
  refresh: () => void;
}

export function Actions({ id, log, run, refresh }: Props) {
  const [failure, setFailure] = useState<unknown>();
  const [busy, setBusy] = useState("");
  const [isAgain, setAgain] = useState(false);
  const confirmation = useRef<HTMLDialogElement>(null);
  async function act(name: string, action: () => Promise<void>): Promise<void> {
    setBusy(name);
    setFailure(undefined);
    try {
      await action();
    } catch (problem) {
      lockIfRefused(problem);
      setFailure(problem);
    } finally {
      setBusy("");
    }
  }
  const cancel = () => act("cancel", () => client.value.runs.cancel(id).then(refresh));
  const remove = () => act("delete", async () => {
    await client.value.runs.delete(id);
    location.hash = href("runs");
  });
  const save = () => act("export", () => exportRun(id));
  return (
    <>
      <span class="run-actions">
        <button type="button" class="quiet" disabled={!!busy} onClick={save}>{busy === "export" ? "Exporting…" : "Export"}</button>
        {log.isEnded && can("runs:write") && (
          <button type="button" class="quiet" disabled={!!busy} onClick={() => confirmation.current?.showModal()}>Delete…</button>
        )}
        {run && !run.thread_id && can("runs:write") && <button type="button" onClick={() => setAgain(true)}>Again…</button>}
        {!log.isEnded && can("runs:write") && (
          <button type="button" class="danger" disabled={!!busy} onClick={cancel}>Cancel run</button>
        )}
      </span>
      {!!failure && <Failure error={failure} />}
      {isAgain && <Again run={run!} onClose={() => setAgain(false)} />}
      <dialog ref={confirmation} aria-label="Delete the run">
        <h2>Delete this run?</h2>
        <p>Its log, files and answers are deleted permanently.</p>
        <div class="actions">
          <button type="button" class="quiet" onClick={() => confirmation.current?.close()}>Cancel</button>
          <button type="button" class="danger" disabled={!!busy} onClick={remove}>Delete run</button>
        </div>
      </dialog>
    </>
  );
}

/** Save all stored data of the run as JSON lines. */
async function exportRun(id: string): Promise<void> {
  const parts: string[] = [];
  for await (const record of client.value.runs.export(id)) parts.push(`${JSON.stringify(record)}\n`);
  download(`run-${id}.ndjson`, "application/x-ndjson", parts);
}

/** Start the agent of the run with the same input, which can be edited. */
function Again({ run, onClose }: { run: Run; onClose: () => void }) {
  const name = agentOf(run);
  const [state] = useLoaded(`agent ${name}`, signal => client.value.agents.get(name, { signal }));
  const { data: agent, error } = state.value;
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current!.showModal(), []);
  return (
    <dialog ref={dialog} onClose={onClose} aria-label="Run again">
      {agent ? (
        <TryIt agent={agent} input={run.input} title={`Run ${agent.name} again`} onStarted={id => (location.hash = href(`runs/${id}`, { with: run.id }))} />
      ) : error ? <Failure error={error} /> : <Skeleton rows={3} />}
      <div class="actions"><button type="button" class="quiet" onClick={onClose}>Close</button></div>
    </dialog>
  );
}
