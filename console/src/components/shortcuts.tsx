/** The keys of the console, and the list of all of them. */

import { useEffect, useRef } from "preact/hooks";

import { PAGES } from "../pages/list.ts";
import { href } from "../router.ts";

/** Return whether the event goes to a field, where letters are text. */
export function isTyping({ target }: KeyboardEvent): boolean {
  return target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

/** Move the focus to the next or the previous row of a list. */
function moveFocus(step: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>("main .row-link, main .bar-row")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement as HTMLElement);
  rows[Math.min(rows.length - 1, Math.max(0, at + step))]!.focus();
}

function searchField(): HTMLElement | null {
  return document.querySelector("main .filters input, main .filters select");
}

const ACTIONS: Record<string, () => void> = {
  j: () => moveFocus(1),
  k: () => moveFocus(-1),
  "/": () => searchField()?.focus(),
};

/** Listen to the keys, and hold the list of them, which `?` opens. */
export function Shortcuts() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    let isGoing = false;
    function onKey(event: KeyboardEvent): void {
      if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
      const page = isGoing ? PAGES.find(({ key }) => key === event.key) : undefined;
      isGoing = event.key === "g";
      if (page) location.hash = href(page.path);
      else if (event.key === "?") dialog.current?.showModal();
      else if (ACTIONS[event.key]) {
        event.preventDefault();
        ACTIONS[event.key]!();
      }
    }
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby="keys-title">
      <h2 id="keys-title">Keys</h2>
      <dl class="facts-list">
        {PAGES.map(({ key, name }) => <Key key={key} keys={["g", key]} meaning={name} />)}
        <Key keys={["j", "k"]} meaning="Next, previous row" />
        <Key keys={["Enter"]} meaning="Open the row" />
        <Key keys={["Ctrl", "Enter"]} meaning="Send what the form has" />
        <Key keys={["/"]} meaning="Search or filter" />
        <Key keys={["?"]} meaning="This list" />
      </dl>
      <div class="actions"><button type="button" onClick={() => dialog.current?.close()}>Close</button></div>
    </dialog>
  );
}

function Key({ keys, meaning }: { keys: string[]; meaning: string }) {
  return (
    <div>
      <dt>{keys.map(key => <kbd key={key}>{key}</kbd>)}</dt>
      <dd>{meaning}</dd>
    </div>
  );
}
