/** One agent: its tools, limits, schemas and route, and the form that tries it. */

import { useState } from "preact/hooks";
import type { Agent } from "runyard";

import { View } from "../../components/basics.tsx";
import { Json } from "../../components/json.tsx";
import { visible } from "../../format.ts";
import { usePolled } from "../../polling.ts";
import { href, route, setQuery } from "../../router.ts";
import { can, client } from "../../session.ts";
import { LiveRun } from "../run/live_run.tsx";
import { Limits } from "./limits.tsx";
import { Tool } from "./tool.tsx";
import { TryIt } from "./try_it.tsx";

export function AgentPage({ name }: { name: string }) {
  const [state, refresh] = usePolled(`agent ${name}`, signal => client.value.agents.get(name, { signal }));
  const runId = route.value.query.get("run");
  return (
    <View state={state.value} retry={refresh}>
      {agent => (
        <div class={`waterfall ${runId ? "with-detail" : ""}`}>
          <article>
            <Head agent={agent} name={name} />
            {can("runs:write") && <TryIt key={agent.version} agent={agent} onStarted={id => setQuery({ run: id })} />}
            <Facts agent={agent} />
          </article>
          {runId && (
            <aside class="detail" aria-label="Run">
              <button type="button" class="quiet close" onClick={() => setQuery({ run: "" })} aria-label="Close">✕</button>
              <LiveRun key={runId} id={runId} />
            </aside>
          )}
        </div>
      )}
    </View>
  );
}

function Head({ agent, name }: { agent: Agent; name: string }) {
  const { versions, version } = agent;
  const open = (chosen: string) => (location.hash = href(`agents/${encodeURIComponent(`${agent.name}@${chosen}`)}`));
  return (
    <>
      <header class="page-head">
        <h1>{visible(agent.name)}</h1>
        {versions.length > 1 ? (
          <label>
            <span class="hidden">Version</span>
            <select value={version} onChange={event => open(event.currentTarget.value)}>
              {versions.map(each => <option key={each} value={each}>version {visible(each)}</option>)}
            </select>
          </label>
        ) : <span class="meta">version {visible(version)}</span>}
        {agent.is_default && <span class="chip plain">default</span>}
        <span class="spacer" />
        <a class="button" href={href("runs", { agent: name.replace(/@.*/, "") })}>Runs</a>
      </header>
      <p class="lead" dir="auto">{visible(agent.description)}</p>
    </>
  );
}

function Facts({ agent }: { agent: Agent }) {
  const [isWhole, setWhole] = useState(agent.tools.length <= 20);
  const tools = isWhole ? agent.tools : agent.tools.slice(0, 20);
  return (
    <>
      <h2>Tools</h2>
      {tools.map((tool, index) => <Tool key={tool.name ?? index} tool={tool} />)}
      {!agent.tools.length && <p class="meta">None.</p>}
      {!isWhole && <button type="button" class="quiet" onClick={() => setWhole(true)}>Show all {agent.tools.length}</button>}
      <div class="columns">
        <section class="card">
          <h2>Model</h2>
          <dl class="facts-list">
            <div><dt>route</dt><dd><code>{visible(agent.route)}</code></dd></div>
            <div><dt>provider</dt><dd>{visible(agent.provider)}</dd></div>
            <div><dt>model</dt><dd><code>{visible(agent.model)}</code></dd></div>
            {agent.fallback.map(({ route: next, model }, index) => (
              <div key={next}><dt>{index ? "then" : "if unavailable"}</dt><dd><code>{visible(next)}</code> {visible(model)}</dd></div>
            ))}
          </dl>
        </section>
        <section class="card"><h2>Limits of a run</h2><Limits limits={agent.limits} /></section>
        <section class="card"><h2>Input</h2><Json value={agent.input_schema} label="input schema" /></section>
        <section class="card">
          <h2>Output</h2>
          {agent.output_schema ? <Json value={agent.output_schema} label="output schema" /> : <p class="meta">Any text.</p>}
        </section>
      </div>
    </>
  );
}
