/** The agents that the key can use. */

import type { Agent } from "runyard";

import { Empty, View } from "../../components/basics.tsx";
import { visible } from "../../format.ts";
import { useLoaded } from "../../polling.ts";
import { href } from "../../router.ts";
import { client } from "../../session.ts";

export function AgentsPage() {
  const [state, refresh] = useLoaded("agents", signal => client.value.agents.list({ page_size: 100 }, { signal }));
  return (
    <>
      <header class="page-head"><h1>Agents</h1></header>
      <View state={state.value} retry={refresh}>
        {({ data }) =>
          data.length ? (
            <ul class="cards">{data.map(agent => <AgentCard key={agent.name} agent={agent} />)}</ul>
          ) : (
            <Empty title="This key can use no agent.">
              Write one in <code>agents/NAME.yaml</code>, then check it: <code>runyard check</code>
            </Empty>
          )}
      </View>
    </>
  );
}

function AgentCard({ agent }: { agent: Agent }) {
  const unsafe = agent.tools.filter(({ effect }) => effect === "unsafe").length;
  return (
    <li class="card agent">
      <h2>
        <a class="row-link" href={href(`agents/${encodeURIComponent(agent.name)}`)}>{visible(agent.name)}</a>
        {agent.is_default && <span class="chip plain">default</span>}
      </h2>
      <p dir="auto">{visible(agent.description)}</p>
      <p class="meta">
        version {visible(agent.version)} · {visible(agent.model)} · {agent.tools.length} {agent.tools.length === 1 ? "tool" : "tools"}
        {unsafe > 0 && `, ${unsafe} unsafe`}
      </p>
    </li>
  );
}
