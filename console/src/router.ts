/** Addresses of pages: `#/runs/ID?tab=log`. */

import { signal } from "@preact/signals";

export interface Route {
  /** The parts of the path, decoded. */
  path: string[];
  query: URLSearchParams;
}

function currentRoute(): Route {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return {
    path: path.split("/").filter(Boolean).map(decodeURIComponent),
    query: new URLSearchParams(query),
  };
}

export const route = signal(currentRoute());
addEventListener("hashchange", readAddress);

/** Show the page of the address, after the address has changed. */
export function readAddress(): void {
  route.value = currentRoute();
}

/** Return the address of a page. Empty parameters are left out. */
export function href(path: string, query: Record<string, string | undefined> = {}): string {
  const set = Object.entries(query).filter((entry): entry is [string, string] => !!entry[1]);
  const search = new URLSearchParams(set).toString();
  return `#/${path}${search && `?${search}`}`;
}

/** Change parameters of this page's address; an empty value removes one. */
export function setQuery(changes: Record<string, string>): void {
  const query = Object.fromEntries(route.value.query);
  location.hash = href(route.value.path.map(encodeURIComponent).join("/"), { ...query, ...changes });
}
