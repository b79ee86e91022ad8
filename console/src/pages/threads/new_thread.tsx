/** Create a thread with its first message. */

import { useAction } from "../../components/action.ts";
import { Failure } from "../../components/basics.tsx";
import { href } from "../../router.ts";
import { client } from "../../session.ts";
import { chosen } from "./choice.tsx";
import { Composer } from "./composer.tsx";

const TITLE_LENGTH = 60;

export function NewThread({ onCreated }: { onCreated: () => void }) {
  const { error, run } = useAction();
  async function start(content: string): Promise<boolean> {
    let isDone = false;
    await run(async () => {
      const { threads } = client.value;
      const { id } = await threads.create({ title: content.trim().slice(0, TITLE_LENGTH) });
      await threads.post(id, content);
      await threads.run(id, chosen());
      isDone = true;
      onCreated();
      location.hash = href(`threads/${id}`);
    });
    return isDone;
  }
  return (
    <>
      <h2>New thread</h2>
      {!!error && <Failure error={error} />}
      <Composer wait="" onSend={start} />
    </>
  );
}
