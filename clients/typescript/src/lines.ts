/**
 * Yield each complete line of a body, without its line feed.
 *
 * A last line without a line feed is left out. `guard` receives the promise of each read. An error
 * of the connection is thrown.
 */
export async function* lines(
  response: Response,
  guard: <T>(read: Promise<T>) => Promise<T> = read => read,
): AsyncGenerator<string, void, void> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await guard(reader.read());
    if (done) return;
    const text = decoder.decode(value, { stream: true });
    rest += text;
    // A long line comes in many pieces: it is split once.
    if (!text.includes("\n")) continue;
    const parts = rest.split("\n");
    rest = parts.pop()!;
    yield* parts.map(line => line.replace(/\r$/, ""));
  }
}
