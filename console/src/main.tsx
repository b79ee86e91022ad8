/** The frame of the console: navigation, the page of the address, and the keys. */

import { render } from "preact";
import { useEffect } from "preact/hooks";

import { InboxPage } from "./pages/inbox.tsx";
import { KeyPage } from "./pages/key.tsx";
import { NowPage } from "./pages/now.tsx";
import { RunPage } from "./pages/run.tsx";
import { RunsPage } from "./pages/runs.tsx";
import { Empty } from "./components/basics.tsx";
import { href, route } from "./router.ts";
import { lock, session } from "./session.ts";

const PAGES = [
  { path: "", name: "Now", key: "n" },
  { path: "runs", name: "Runs", key: "r" },
  { path: "inbox", name: "Inbox", key: "i" },
];

function Page() {
  const [name = "", id] = route.value.path;
  if (name === "") return <NowPage />;
  if (name === "runs") return id ? <RunPage key={id} id={id} /> : <RunsPage />;
  if (name === "inbox") return <InboxPage />;
  return (
    <>
      <header class="page-head"><h1>Not found</h1></header>
      <Empty title="There is no such page."><a href={href("")}>Go to Now</a></Empty>
    </>
  );
}

function App() {
  useEffect(() => {
    const title = PAGES.find(({ path }) => path === (route.value.path[0] ?? ""))?.name;
    document.title = title ? `${title} · Runyard` : "Runyard";
  }, [route.value]);
  useShortcuts();
  if (!session.value) return <KeyPage />;
  return (
    <div class="frame">
      <a class="skip" href="#content" onClick={skipToContent}>Skip to content</a>
      <nav class="main" aria-label="Pages">
        <a class="brand" href={href("")}><span aria-hidden="true">▶</span> Runyard</a>
        {PAGES.map(({ path, name }) => (
          <a key={path} href={href(path)} aria-current={(route.value.path[0] ?? "") === path ? "page" : undefined}>
            {name}
          </a>
        ))}
        <span class="spacer" />
        <button type="button" class="quiet" onClick={() => lock()}>Lock</button>
      </nav>
      <main id="content" tabIndex={-1}><Page /></main>
    </div>
  );
}

function skipToContent(event: Event): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

/** `g` and the letter of a page opens it. */
function useShortcuts(): void {
  useEffect(() => {
    let isGoing = false;
    function onKey(event: KeyboardEvent): void {
      const { target } = event;
      if (target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const page = isGoing ? PAGES.find(({ key }) => key === event.key) : undefined;
      isGoing = event.key === "g";
      if (page) location.hash = href(page.path);
    }
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

render(<App />, document.getElementById("app")!);
