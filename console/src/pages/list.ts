/** The pages of the navigation, with the letter that opens each after `g`. */

export interface PageName {
  path: string;
  name: string;
  icon: string;
  key: string;
}

export const PAGES: PageName[] = [
  { path: "", name: "Now", icon: "now", key: "n" },
  { path: "runs", name: "Runs", icon: "runs", key: "r" },
  { path: "inbox", name: "Inbox", icon: "inbox", key: "i" },
  { path: "threads", name: "Threads", icon: "threads", key: "t" },
  { path: "agents", name: "Agents", icon: "agents", key: "a" },
  { path: "usage", name: "Usage", icon: "usage", key: "u" },
  { path: "settings", name: "Settings", icon: "settings", key: "s" },
];
