import { useId, type CSSProperties } from "react";
import type { Bar } from "./answer";

const ROW_HEIGHT = 30;
/** In characters; what is longer is cut. */
const WIDEST_LABEL = 24;

/** Bars that grow and change places as the answer does. */
export function Bars({ bars, label }: { bars: Bar[]; label: string }) {
  const id = useId();
  const widest = Math.min(WIDEST_LABEL, Math.max(...bars.map(({ label }) => label.length), 1));
  const longest = Math.max(...bars.map(({ value }) => Math.abs(value)), 0) || 1;
  // Elements stay in the order of their labels, so that those that change places move there.
  const places = withKeys(bars).map((bar, place) => ({ ...bar, place }));
  places.sort((a, b) => (a.key < b.key ? -1 : 1));
  return (
    <>
      <p className="hidden" id={id}>
        {label}
      </p>
      <ul
        className="bars"
        aria-labelledby={id}
        style={{ height: bars.length * ROW_HEIGHT, "--widest": `${widest}ch` } as CSSProperties}
      >
        {places.map(({ key, label, value, said, place }) => (
          <li key={key} style={{ transform: `translateY(${place * ROW_HEIGHT}px)` }}>
            <span className="bar-label" title={label}>
              {label}
            </span>
            <span className="bar-track" aria-hidden="true">
              <span style={{ transform: `scaleX(${Math.abs(value) / longest})` }} />
            </span>
            <span className="bar-value">{said}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

/** Rows may have the same label. */
function withKeys(bars: Bar[]): (Bar & { key: string })[] {
  const times = new Map<string, number>();
  return bars.map((bar) => {
    const before = times.get(bar.label) ?? 0;
    times.set(bar.label, before + 1);
    return { ...bar, key: `${bar.label} ${before}` };
  });
}
