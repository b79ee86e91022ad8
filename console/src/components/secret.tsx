/** A secret that the service returns once. */

import { Copy } from "./basics.tsx";

export function SecretOnce({ secret, name, onDone }: { secret: string | undefined; name: string; onDone: () => void }) {
  return (
    <div class="notice secret" role="status">
      {secret ? (
        <>
          <strong>Copy the {name} now. You cannot read it again.</strong>
          <p><code>{secret}</code> <Copy text={secret} label={name} /></p>
        </>
      ) : (
        <strong>The response with the {name} was lost. Create another one.</strong>
      )}
      <button type="button" onClick={onDone}>I have it</button>
    </div>
  );
}
