/** Webhooks, keys, and how the console looks. */

import { Time } from "../../components/basics.tsx";
import { visible } from "../../format.ts";
import { theme, THEMES, timeStyle, TIMES, type Theme, type TimeStyle } from "../../preferences.ts";
import { route } from "../../router.ts";
import { can, lock, me, session } from "../../session.ts";
import { Keys } from "./keys.tsx";
import { WebhookPage } from "./webhook.tsx";
import { Webhooks } from "./webhooks.tsx";

export function SettingsPage() {
  const [, section, id] = route.value.path;
  if (section === "webhooks" && id) return <WebhookPage key={id} id={id} />;
  return (
    <>
      <header class="page-head"><h1>Settings</h1></header>
      <section class="settings"><Webhooks /></section>
      <div class="columns">
        <section class="card"><ThisKey /></section>
        <section class="card"><Appearance /></section>
      </div>
      <section class="settings"><Keys /></section>
    </>
  );
}

function ThisKey() {
  const { key_id, user, org_id, projects, scopes, agent, valid_until } = me.value!;
  return (
    <>
      <h2>This key</h2>
      <dl class="facts-list">
        <div><dt>id</dt><dd><code>{key_id}</code></dd></div>
        {user && <div><dt>person</dt><dd dir="auto">{visible([user.name, user.email, user.id].filter(Boolean).join(" · "))}</dd></div>}
        <div><dt>organization</dt><dd>{visible(org_id)}</dd></div>
        <div><dt>{projects.length > 1 ? "projects" : "project"}</dt><dd>{visible(projects.length > 1 ? `${session.value?.project} of ${projects.length}` : projects.join(", "))}</dd></div>
        <div><dt>scopes</dt><dd>{scopes.map(scope => <code key={scope} class="scope">{scope}</code>)}</dd></div>
        {agent && <div><dt>only agent</dt><dd>{visible(agent)}</dd></div>}
        <div><dt>expires</dt><dd>{valid_until ? <Time at={valid_until} /> : "never"}</dd></div>
      </dl>
      {!can("runs:write") && <p class="notice stale">This key reads only. It lacks runs:write.</p>}
      <div class="actions"><button type="button" onClick={() => lock()}>Lock</button></div>
    </>
  );
}

const THEME_NAMES = { system: "As the system", light: "Light", dark: "Dark" };
const TIME_NAMES = { relative: "Relative (4 min ago)", local: "Local time", utc: "UTC" };

function Appearance() {
  return (
    <>
      <h2>Appearance</h2>
      <label class="field">
        <span class="label">Colors</span>
        <select value={theme.value} onChange={event => (theme.value = event.currentTarget.value as Theme)}>
          {THEMES.map(name => <option key={name} value={name}>{THEME_NAMES[name]}</option>)}
        </select>
      </label>
      <label class="field">
        <span class="label">Times</span>
        <select value={timeStyle.value} onChange={event => (timeStyle.value = event.currentTarget.value as TimeStyle)}>
          {TIMES.map(name => <option key={name} value={name}>{TIME_NAMES[name]}</option>)}
        </select>
      </label>
    </>
  );
}
