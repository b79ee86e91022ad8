/** One thread: its messages, the response that is written now, and the composer. */

import { useEffect, useState } from "preact/hooks";
import { Conflict, type ThreadMessage } from "runyard";

import { useAction } from "../../components/action.ts";
import { Failure, Text, Time, View } from "../../components/basics.tsx";
import { visible } from "../../format.ts";
import { usePolled } from "../../polling.ts";
import { href } from "../../router.ts";
import { can, client } from "../../session.ts";
import { chosen } from "./choice.tsx";
import { Composer } from "./composer.tsx";
import { LiveResponse } from "./live_response.tsx";

interface Props {
  id: string;
  onChanged: () => void;
}

export function Chat({ id, onChanged }: Props) {
  const { threads } = client.value;
  const [thread, refreshThread] = usePolled(`thread ${id}`, signal => threads.get(id, { signal }), ({ active_run_id }) => !!active_run_id);
  const [messages, refreshMessages] = usePolled(`messages ${id}`, signal => threads.messages(id, { limit: 1000 }, { signal }));
  const { error, run } = useAction();
  const [runId, setRunId] = useState("");
  const [isActive, setActive] = useState(false);
  // A message is stored, but another run was active: its own run comes after that.
  const [isOwed, setOwed] = useState(false);
  const { active_run_id = null, title } = thread.value.data ?? {};

  useEffect(() => {
    if (active_run_id) follow(active_run_id);
  }, [active_run_id]);
  useEffect(() => {
    if (isOwed && !isActive && !active_run_id) void run(start);
  }, [isOwed, isActive, active_run_id, thread.value.at]);

  function follow(started: string): void {
    setRunId(started);
    setActive(true);
  }

  async function start(): Promise<void> {
    try {
      follow((await threads.run(id, chosen())).run_id);
      setOwed(false);
    } catch (failure) {
      if (!(failure instanceof Conflict)) {
        setOwed(false);
        throw failure;
      }
      setOwed(true);
      refreshThread();
    }
  }

  async function send(content: string): Promise<boolean> {
    let isStored = false;
    await run(async () => {
      await threads.post(id, content);
      isStored = true;
      refreshMessages();
      await start();
    });
    return isStored;
  }

  function ended(): void {
    setActive(false);
    refreshThread();
    refreshMessages();
    onChanged();
  }

  const isAnswered = !isActive && !!messages.value.data?.some(({ run_id }) => run_id === runId);
  const wait = isOwed ? "Another run is active. Your message is next." : isActive ? "The agent is at work." : "";
  return (
    <div class="chat">
      <header class="page-head">
        <h2 dir="auto">{visible(title || "Untitled")}</h2>
        <span class="spacer" />
        {can("runs:write") && !isActive && <DeleteThread id={id} onDeleted={onChanged} />}
      </header>
      <View state={messages.value} retry={refreshMessages}>
        {data => <div class="conversation">{data.map(message => <Message key={message.id} message={message} />)}</div>}
      </View>
      {runId && !isAnswered && <LiveResponse key={runId} id={runId} onEnded={ended} />}
      {!!error && <Failure error={error} />}
      {can("runs:write") && <Composer wait={wait} onSend={send} />}
    </div>
  );
}

function DeleteThread({ id, onDeleted }: { id: string; onDeleted: () => void }) {
  const { isBusy, error, run } = useAction();
  const [isSure, setSure] = useState(false);
  const remove = () => run(async () => {
    await client.value.threads.delete(id);
    onDeleted();
    location.hash = href("threads");
  });
  return (
    <>
      {isSure
        ? <button type="button" class="danger" disabled={isBusy} onClick={remove}>Delete it and its messages</button>
        : <button type="button" class="quiet" onClick={() => setSure(true)}>Delete…</button>}
      {!!error && <Failure error={error} />}
    </>
  );
}

function Message({ message: { role, content, created_at, run_id } }: { message: ThreadMessage }) {
  return (
    <section class={`message ${role}`}>
      <h3 class="meta">
        {role === "user" ? "User" : "Agent"} · <Time at={created_at} />
        {run_id && <> · <a href={href(`runs/${run_id}`)}>run</a></>}
      </h3>
      <Text>{content}</Text>
    </section>
  );
}
