/** The keys of the organization; for other keys, the command that creates one. */

import { useState } from "preact/hooks";
import { ApiError, type AccessKey, type CreateKey } from "runyard";

import { useAction } from "../../components/action.ts";
import { Copy, Failure, Time, View } from "../../components/basics.tsx";
import { SecretOnce } from "../../components/secret.tsx";
import { visible } from "../../format.ts";
import { usePolled } from "../../polling.ts";
import { can, client, me, session } from "../../session.ts";

const SCOPES = ["runs:read", "runs:write", "files:write", "webhooks:read", "webhooks:write"];

export function Keys() {
  return (
    <>
      <div class="page-head"><h2>Keys</h2></div>
      {can("keys:write") ? <KeyList /> : <Command />}
    </>
  );
}

function Command() {
  const { org_id, projects } = me.value!;
  const line = `runyard keys create --org ${org_id} --project ${projects[0] ?? "NAME"} --user-id NAME --days 30`;
  return (
    <>
      <p class="meta">Only the key of an organization with the scope keys:write manages keys here. This command creates a key:</p>
      <p class="command"><code>{visible(line)}</code> <Copy text={line} label="command" /></p>
    </>
  );
}

function KeyList() {
  const [state, refresh] = usePolled("keys", signal => client.value.keys.list({ page_size: 100 }, { signal }));
  const [created, setCreated] = useState<{ secret?: string }>();
  return (
    <>
      {created && <SecretOnce secret={created.secret} name="access key" onDone={() => setCreated(undefined)} />}
      <NewKey onCreated={key => [setCreated(key), refresh()]} />
      <View state={state.value} retry={refresh}>
        {({ data }) => (
          <div class="scroll">
            <table>
              <thead><tr><th>Key</th><th>Person</th><th>Scopes</th><th class="number">Used</th><th class="number">Valid until</th><th /></tr></thead>
              <tbody>{data.map(key => <KeyRow key={key.id} accessKey={key} onRevoked={refresh} />)}</tbody>
            </table>
          </div>
        )}
      </View>
    </>
  );
}

function KeyRow({ accessKey, onRevoked }: { accessKey: AccessKey; onRevoked: () => void }) {
  const { id, user_id, user_name, scopes, agent, last_used_at, valid_until, revoked_at } = accessKey;
  const { isBusy, error, run } = useAction();
  const [isSure, setSure] = useState(false);
  const isOwn = id === me.value?.key_id;
  const revoke = () => run(async () => {
    await client.value.keys.revoke(id);
    onRevoked();
  });
  return (
    <tr class={revoked_at ? "revoked" : ""}>
      <td><code>{id}</code>{isOwn && <span class="chip plain">this key</span>}</td>
      <td>{visible(user_name ?? user_id ?? "—")}</td>
      <td class="meta">{scopes.join(", ")}{agent && ` · only ${visible(agent)}`}</td>
      <td class="number"><Time at={last_used_at} /></td>
      <td class="number"><Time at={valid_until} /></td>
      <td class="number">
        {revoked_at ? <>revoked <Time at={revoked_at} /></>
          : isSure ? <button type="button" class="danger" disabled={isBusy} onClick={revoke}>Revoke {isOwn ? "this key" : "it"}</button>
          : <button type="button" class="quiet" onClick={() => setSure(true)}>Revoke…</button>}
        {!!error && <Failure error={error} />}
      </td>
    </tr>
  );
}

type Scope = NonNullable<CreateKey["scopes"]>[number];

function NewKey({ onCreated }: { onCreated: (key: { secret?: string }) => void }) {
  const { isBusy, error, run } = useAction();
  function submit(event: Event): void {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const user_id = String(fields.get("user_id")).trim();
    const body = {
      project_id: session.value!.project!,
      scopes: fields.getAll("scopes") as Scope[],
      days: Number(fields.get("days")),
      ...(user_id && { user_id }),
    };
    void run(async () => onCreated(await client.value.keys.create(body)));
  }
  return (
    <details class="card">
      <summary>Create a key of the project {visible(session.value?.project ?? "")}</summary>
      <form onSubmit={submit} aria-label="Create a key">
        <label class="field"><span class="label">Person (user id)</span><input name="user_id" maxLength={256} /></label>
        <label class="field"><span class="label">Days</span><input name="days" type="number" min={1} max={36500} value={30} required /></label>
        <fieldset class="inline">
          <legend class="label">Scopes</legend>
          {SCOPES.map(scope => (
            <label class="choice" key={scope}><input type="checkbox" name="scopes" value={scope} defaultChecked={scope.startsWith("runs")} /> <code>{scope}</code></label>
          ))}
        </fieldset>
        {!!error && <Failure error={error} />}
        {error instanceof ApiError && Object.entries(error.details).map(([name, issue]) => <p class="issue" key={name}>{visible(`${name} ${issue}`)}</p>)}
        <div class="actions"><button class="primary" disabled={isBusy}>Create key</button></div>
      </form>
    </details>
  );
}
