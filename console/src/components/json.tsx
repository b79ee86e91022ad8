/** A JSON value as a tree. Long texts and lists are folded. */

import { useState } from "preact/hooks";

import { visible } from "../format.ts";
import { Copy } from "./basics.tsx";

const MAX_ITEMS = 20;
const MAX_CHARACTERS = 2000;

export function Json({ value, label }: { value: unknown; label: string }) {
  return (
    <div class="json">
      <Value value={value} />
      <Copy text={typeof value === "string" ? value : JSON.stringify(value, null, 2)} label={label} />
    </div>
  );
}

function Value({ value }: { value: unknown }) {
  const [isWhole, setWhole] = useState(false);
  if (typeof value === "string") {
    const isLong = value.length > MAX_CHARACTERS && !isWhole;
    return (
      <span class="string" dir="auto">
        {visible(isLong ? value.slice(0, MAX_CHARACTERS) : value)}
        {isLong && <More count={value.length - MAX_CHARACTERS} unit="characters" show={() => setWhole(true)} />}
      </span>
    );
  }
  if (typeof value !== "object" || value === null) return <span class="literal">{String(value)}</span>;
  const isList = Array.isArray(value);
  const entries = Object.entries(value);
  if (!entries.length) return <span class="literal">{isList ? "[]" : "{}"}</span>;
  const listed = isWhole ? entries : entries.slice(0, MAX_ITEMS);
  return (
    <dl>
      {listed.map(([name, item]) => (
        <div key={name}>
          <dt>{visible(name)}</dt>
          <dd><Value value={item} /></dd>
        </div>
      ))}
      {listed.length < entries.length && (
        <More count={entries.length - listed.length} unit="entries" show={() => setWhole(true)} />
      )}
    </dl>
  );
}

function More({ count, unit, show }: { count: number; unit: string; show: () => void }) {
  return <button type="button" class="quiet small" onClick={show}>… {count} more {unit}</button>;
}

/** Return the value of a text that is JSON, otherwise the text. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
