/** The icons of the navigation, as lines of 16 × 16. */

const PATHS: Record<string, string> = {
  now: "M1.5 8h3l2-5 3 10 2-5h3",
  runs: "M2 4h7M5 8h8M8 12h6",
  inbox: "M2 9l2-6h8l2 6v4H2zM2 9h3.5l1 2h3l1-2H14",
  threads: "M2 3h12v8H7l-3 3v-3H2z",
  agents: "M4 6h8v7H4zM8 6V3M6 9v1M10 9v1M2 9v2M14 9v2",
  usage: "M2 14h12M4 14V9M8 14V3M12 14V6",
  settings: "M2 4h6M12 4h2M2 12h2M8 12h6M10 2v4M6 10v4",
};

export function Icon({ name }: { name: string }) {
  return (
    <svg class="icon" width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.4" aria-hidden="true">
      <path d={PATHS[name] ?? ""} stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}
