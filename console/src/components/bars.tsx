/** Bars for a series of numbers. The table next to them has the same numbers as text. */

export interface Bar {
  name: string;
  value: number;
  /** The text of the value. */
  label: string;
}

const WIDTH = 720;
const HEIGHT = 160;

export function Bars({ bars, title }: { bars: Bar[]; title: string }) {
  const highest = Math.max(...bars.map(({ value }) => value), 0);
  const step = WIDTH / Math.max(bars.length, 1);
  const top = bars.find(({ value }) => value === highest);
  return (
    <figure class="bars">
      <figcaption class="meta">{title}{highest > 0 && top && `, at most ${top.label}`}</figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${title}: the table has the numbers`}>
        <line x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
        {bars.map(({ name, value, label }, index) => {
          const height = highest ? (value / highest) * (HEIGHT - 4) : 0;
          return (
            <rect key={name} class="work" x={index * step + 1} width={Math.max(1, Math.min(step - 2, 60))} y={HEIGHT - Math.max(height, value ? 2 : 0)} height={Math.max(height, value ? 2 : 0)}>
              <title>{`${name}: ${label}`}</title>
            </rect>
          );
        })}
      </svg>
      <div class="meta bars-axis"><span>{bars[0]?.name}</span><span>{bars.length > 1 && bars.at(-1)!.name}</span></div>
    </figure>
  );
}
