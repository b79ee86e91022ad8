/** The frame of the console: navigation, the page of the address, and the keys. */

import { render } from "preact";
import { useEffect } from "preact/hooks";

import { Empty, Failure, Skeleton } from "./components/basics.tsx";
import { Navigation } from "./components/navigation.tsx";
import { Shortcuts } from "./components/shortcuts.tsx";
import { inboxCount } from "./inbox_count.ts";
import { AgentPage } from "./pages/agents/detail.tsx";
import { AgentsPage } from "./pages/agents/list.tsx";
import { InboxPage } from "./pages/inbox.tsx";
import { KeyPage } from "./pages/key.tsx";
import { PAGES } from "./pages/list.ts";
import { NowPage } from "./pages/now.tsx";
import { ProjectPage } from "./pages/project.tsx";
import { RunPage } from "./pages/run/page.tsx";
import { RunsPage } from "./pages/runs.tsx";
import { SettingsPage } from "./pages/settings/page.tsx";
import { ThreadsPage } from "./pages/threads/page.tsx";
import { UsagePage } from "./pages/usage/page.tsx";
import "./preferences.ts";
import { href, route } from "./router.ts";
import { me, refreshMe, session, signInError } from "./session.ts";

function Page() {
  const [name = "", id] = route.value.path;
  if (name === "") return <NowPage />;
  if (name === "runs") return id ? <RunPage key={id} id={id} /> : <RunsPage />;
  if (name === "inbox") return <InboxPage />;
  if (name === "agents") return id ? <AgentPage key={id} name={id} /> : <AgentsPage />;
  if (name === "usage") return <UsagePage />;
  if (name === "settings") return <SettingsPage />;
  if (name === "threads") return <ThreadsPage />;
  return (
    <>
      <header class="page-head"><h1>Not found</h1></header>
      <Empty title="There is no such page."><a href={href("")}>Go to Now</a></Empty>
    </>
  );
}

function App() {
  const waiting = session.value ? inboxCount.value : 0;
  useEffect(() => {
    const title = PAGES.find(({ path }) => path === (route.value.path[0] ?? ""))?.name;
    document.title = `${waiting ? `(${waiting}) ` : ""}${title ? `${title} · ` : ""}Runyard`;
  }, [route.value, waiting]);
  if (!session.value) return <KeyPage />;
  if (!me.value) {
    return (
      <main class="key-page">
        {signInError.value ? <Failure error={signInError.value} retry={refreshMe} /> : <Skeleton rows={3} />}
      </main>
    );
  }
  const { project } = session.value;
  if (!project) return <ProjectPage />;
  return (
    <div class="frame" key={project}>
      <a class="skip" href="#content" onClick={skipToContent}>Skip to content</a>
      <Navigation />
      <main id="content" tabIndex={-1}><Page /></main>
      <Shortcuts />
    </div>
  );
}

function skipToContent(event: Event): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

void refreshMe();
render(<App />, document.getElementById("app")!);
