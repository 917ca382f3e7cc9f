import { useEffect, useRef } from "react";
import uPlot from "uplot";
import { useTheme } from "../theme";
import { formatDuration, formatTick } from "./format";
import { rangeOf, stepsUpTo } from "./steps";
import { useWidth } from "./useWidth";

interface Props {
  label: string;
  x: number[];
  y: number[];
  /** What x is; times are seconds since 1970, durations seconds since the left end. */
  kind?: "number" | "time" | "duration";
  height?: number;
}

const DURATIONS: uPlot.Axis = {
  values: (_, xs) => xs.map(formatDuration),
  incrs: (_, __, ___, longest) => stepsUpTo(longest),
};

/** A line with the area below it. */
export function Plot({ label, x, y, kind = "number", height = 160 }: Props) {
  const [frame, width] = useWidth<HTMLDivElement>();
  const plot = useRef<uPlot | null>(null);
  const theme = useTheme();

  useEffect(() => {
    const element = frame.current!;
    const style = getComputedStyle(element);
    const [accent, area, muted, line] = ["--accent", "--area", "--muted", "--line"].map((name) =>
      style.getPropertyValue(name),
    );
    const axis: uPlot.Axis = {
      stroke: muted!,
      font: `11px ${style.fontFamily}`,
      grid: { stroke: line!, width: 1 },
      ticks: { show: false },
    };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: {
            time: kind === "time",
            ...(kind === "duration" && { range: (_, __, longest) => rangeOf(longest) }),
          },
          y: { range: (_, __, max) => [0, Math.max(max * 1.1, 1)] },
        },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: kind === "time" ? 44 : 26,
            ...(kind === "number" && { values: (_: uPlot, xs: number[]) => xs.map(String) }),
            ...(kind === "duration" && DURATIONS),
          },
          { ...axis, size: 48, values: (_, values) => values.map(formatTick) },
        ],
        series: [{}, { stroke: accent!, fill: area!, width: 2, points: { show: false } }],
      },
      [[], []],
      element,
    );
    plot.current = made;
    return () => made.destroy();
  }, [frame, theme, kind, height]);

  useEffect(() => {
    if (width > 0) plot.current?.setSize({ width, height });
  }, [width, height]);

  useEffect(() => {
    plot.current?.setData([x, y]); // also of one that was made anew
  }, [x, y, theme, kind, height]);

  return <div className="plot" ref={frame} role="img" aria-label={label} />;
}
