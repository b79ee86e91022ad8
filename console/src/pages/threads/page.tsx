/** The threads of the project, and the conversation of one. */

import type { Thread } from "runyard";

import { Empty, Time, View } from "../../components/basics.tsx";
import { visible } from "../../format.ts";
import { usePolled } from "../../polling.ts";
import { href, route } from "../../router.ts";
import { can, client } from "../../session.ts";
import { Chat } from "./chat.tsx";
import { NewThread } from "./new_thread.tsx";

export function ThreadsPage() {
  const [, id] = route.value.path;
  const [state, refresh] = usePolled("threads", signal => client.value.threads.list({ limit: 50 }, { signal }),
    threads => threads.some(({ active_run_id }) => active_run_id));
  return (
    <div class={`threads ${id ? "is-open" : ""}`}>
      <aside aria-label="Threads">
        <header class="page-head">
          <h1>Threads</h1>
          <span class="spacer" />
          {can("runs:write") && <a class="button" href={href("threads/new")}>New</a>}
        </header>
        <View state={state.value} retry={refresh}>
          {threads => threads.length
            ? <ol>{threads.map(thread => <ThreadRow key={thread.id} thread={thread} isOpen={thread.id === id} />)}</ol>
            : <Empty title="No threads yet.">A thread is a conversation with an agent.</Empty>}
        </View>
      </aside>
      <section class="chat-pane">
        {id && <p class="meta back"><a href={href("threads")}>‹ Threads</a></p>}
        {id === "new" ? <NewThread onCreated={refresh} />
          : id ? <Chat key={id} id={id} onChanged={refresh} />
          : <Empty title="Choose a thread, or start one." />}
      </section>
    </div>
  );
}

function ThreadRow({ thread, isOpen }: { thread: Thread; isOpen: boolean }) {
  return (
    <li>
      <a class="row-link thread-row" href={href(`threads/${thread.id}`)} aria-current={isOpen ? "true" : undefined}>
        <span class="summary" dir="auto">{visible(thread.title || "Untitled")}</span>
        <span class="meta">{thread.active_run_id && <span class="shape work" aria-label="at work">●</span>}<Time at={thread.updated_at} /></span>
      </a>
    </li>
  );
}
