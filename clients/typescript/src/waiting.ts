const FIRST_DELAY = 500;
const MAX_DELAY = 15_000;

/** Return the pause before retry `count` (from 0): 0.5 s, doubled to 15 s, and up to half less. */
export function backoff(count: number): number {
  return Math.min(FIRST_DELAY * 2 ** count, MAX_DELAY) * (0.5 + Math.random() / 2);
}

/** Wait. Throw the reason of the signal when it is aborted. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
