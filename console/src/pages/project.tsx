/** Choose the project, for the key of an organization. */

import { visible } from "../format.ts";
import { chooseProject, lock, me } from "../session.ts";

export function ProjectPage() {
  const { projects, org_id } = me.value!;
  return (
    <main class="key-page">
      <h1>Choose a project</h1>
      <p class="meta">The key is for all projects of the organization {visible(org_id)}.</p>
      <ul class="choices">
        {projects.map(project => (
          <li key={project}>
            <button type="button" onClick={() => chooseProject(project)}>{visible(project)}</button>
          </li>
        ))}
      </ul>
      {!projects.length && (
        <p class="notice">
          This organization has no project yet. Create the first key of a project:{" "}
          <code>runyard keys create --org {visible(org_id)} --project NAME</code>
        </p>
      )}
      <button type="button" class="quiet" onClick={() => lock()}>Use another key</button>
    </main>
  );
}
