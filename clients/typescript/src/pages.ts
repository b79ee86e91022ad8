import type { Transport } from "./transport.js";
import type { CallOptions } from "./types.js";

interface Loaded<Item, Page> {
  page: Page;
  items: Item[];
  /** The cursor of the next page; undefined at the end. */
  next: string | undefined;
}

/**
 * A list: `for await` yields the items of all pages, and `await` returns a single page.
 *
 * Iteration yields no item twice, if new items move old ones to the next page.
 */
export class Pages<Item, Page> implements AsyncIterable<Item>, PromiseLike<Page> {
  #load: (cursor?: string) => Promise<Loaded<Item, Page>>;
  #isShrinking: boolean;

  /** `isShrinking`: read all pages first, because items leave the list during the iteration. */
  constructor(load: (cursor?: string) => Promise<Loaded<Item, Page>>, isShrinking = false) {
    this.#load = load;
    this.#isShrinking = isShrinking;
  }

  then<Result = Page, Failure = never>(
    done?: ((page: Page) => Result | PromiseLike<Result>) | null,
    failed?: ((reason: unknown) => Failure | PromiseLike<Failure>) | null,
  ): Promise<Result | Failure> {
    return this.#load()
      .then(({ page }) => page)
      .then(done, failed);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, void, void> {
    if (!this.#isShrinking) return yield* this.#items();
    const items = [];
    for await (const item of this.#items()) items.push(item);
    yield* items;
  }

  async *#items(): AsyncGenerator<Item, void, void> {
    const seen = new Set<unknown>();
    let cursor: string | undefined;
    do {
      const { items, next } = await this.#load(cursor);
      for (const item of items) {
        const { run_id, id = run_id } = item as { id?: string; run_id?: string };
        if (id && seen.has(id)) continue;
        seen.add(id);
        yield item;
      }
      cursor = next;
    } while (cursor);
  }
}

/** A page of the Runs API. */
export interface NumberedPage<Item> {
  data: Item[];
  pagination: { page: number; page_size: number; page_count: number; total_count: number };
}

/** Return a list of the Runs API, which has numbered pages. */
export function numberedPages<Item, Page extends NumberedPage<Item> = NumberedPage<Item>>(
  transport: Transport,
  path: string,
  query: object,
  options?: CallOptions,
  isShrinking?: boolean,
): Pages<Item, Page> {
  return new Pages(async cursor => {
    const selected = cursor ? { ...query, page: cursor } : query;
    const page = await transport.get<Page>(path, selected, options);
    const { page: number, page_count } = page.pagination;
    return { page, items: page.data, next: number < page_count ? `${number + 1}` : undefined };
  }, isShrinking);
}

/** Return a list of the Threads API, whose `Link` header has the next page. */
export function linkedPages<Item>(
  transport: Transport,
  path: string,
  query: object,
  options?: CallOptions,
): Pages<Item, Item[]> {
  return new Pages(async cursor => {
    const target = cursor ?? path;
    const response = await transport.request("GET", target, {
      ...options,
      query: cursor ? {} : query,
    });
    const items: Item[] = await response.json();
    const link = /<([^>]*)>; *rel="?next/.exec(response.headers.get("link") ?? "")?.[1];
    const { pathname, search } = new URL(link ?? "", transport.url + target);
    return { page: items, items, next: link && pathname + search };
  });
}
