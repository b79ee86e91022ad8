/** An action of a page: it runs once at a time, and the page shows its failure. */

import { useState } from "preact/hooks";

import { lockIfRefused } from "../session.ts";

export interface Action {
  isBusy: boolean;
  error: unknown;
  run: (action: () => Promise<unknown>) => Promise<void>;
}

export function useAction(): Action {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  async function run(action: () => Promise<unknown>): Promise<void> {
    setBusy(true);
    setError(undefined);
    try {
      await action();
    } catch (failure) {
      lockIfRefused(failure);
      setError(failure);
    } finally {
      setBusy(false);
    }
  }
  return { isBusy, error, run };
}
