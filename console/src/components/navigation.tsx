/** The navigation, with the number of open questions and the project of an organization's key. */

import { useEffect } from "preact/hooks";

import { count, visible } from "../format.ts";
import { inboxCount } from "../inbox_count.ts";
import { PAGES } from "../pages/list.ts";
import { usePolled } from "../polling.ts";
import { href, route } from "../router.ts";
import { chooseProject, client, lock, me, session } from "../session.ts";
import { Icon } from "./icons.tsx";

export function Navigation() {
  const [questions] = usePolled("count of questions", signal =>
    client.value.inputRequests.list({ page_size: 1 }, { signal }));
  const total = questions.value.data?.pagination.total_count;
  useEffect(() => {
    if (total !== undefined) inboxCount.value = total;
  }, [total]);
  const current = route.value.path[0] ?? "";
  return (
    <nav class="main" aria-label="Pages">
      <a class="brand" href={href("")}><span aria-hidden="true">▶</span> <span class="brand-name">Runyard</span></a>
      <ProjectPicker />
      {PAGES.map(({ path, name, icon }) => (
        <a key={path} href={href(path)} aria-current={current === path ? "page" : undefined} title={name}>
          <Icon name={icon} />
          <span class="nav-name">{name}</span>
          {path === "inbox" && inboxCount.value > 0 && <Badge number={inboxCount.value} />}
        </a>
      ))}
      <span class="spacer" />
      <button type="button" class="quiet lock" onClick={() => lock()} title="Forget the key in this tab">Lock</button>
    </nav>
  );
}

function Badge({ number }: { number: number }) {
  return (
    <span class="badge">
      {number > 99 ? "99+" : count(number)}<span class="hidden"> waiting</span>
    </span>
  );
}

function ProjectPicker() {
  const projects = me.value?.projects ?? [];
  const project = session.value?.project ?? "";
  if (projects.length < 2) return null;
  return (
    <label class="project">
      <span class="hidden">Project</span>
      <select value={project} onChange={event => chooseProject(event.currentTarget.value)}>
        {projects.map(name => <option key={name} value={name}>{visible(name)}</option>)}
      </select>
    </label>
  );
}
