import { useId } from "react";
import { formatValue } from "../parts/format";
import type { Bar } from "./answer";

const ROW_HEIGHT = 30;

/** Bars that grow and change places as the answer does. */
export function Bars({ bars, label }: { bars: Bar[]; label: string }) {
  const id = useId();
  const longest = Math.max(...bars.map(({ value }) => Math.abs(value)), 0) || 1;
  // Elements stay in the order of their labels, so that those that change places move there.
  const places = bars.map((bar, place) => ({ ...bar, place }));
  places.sort((a, b) => (a.label < b.label ? -1 : 1));
  return (
    <>
      <p className="hidden" id={id}>
        {label}
      </p>
      <ul className="bars" aria-labelledby={id} style={{ height: bars.length * ROW_HEIGHT }}>
        {places.map(({ label, value, place }) => (
          <li key={label} style={{ transform: `translateY(${place * ROW_HEIGHT}px)` }}>
            <span className="bar-label" title={label}>
              {label}
            </span>
            <span className="bar-track" aria-hidden="true">
              <span style={{ transform: `scaleX(${Math.abs(value) / longest})` }} />
            </span>
            <span className="bar-value">{formatValue(value)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}
