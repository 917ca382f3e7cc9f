import { useEffect, useRef } from "react";
import uPlot from "uplot";
import { useTheme } from "../theme";
import { formatShort } from "./format";
import { useWidth } from "./useWidth";

interface Props {
  label: string;
  x: number[];
  y: number[];
  isTime?: boolean;
  formatX?: (x: number) => string;
  height?: number;
}

/** A line with the area below it. */
export function Plot({ label, x, y, isTime = false, formatX = String, height = 160 }: Props) {
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
        scales: { x: { time: isTime }, y: { range: (_, __, max) => [0, Math.max(max * 1.1, 1)] } },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: isTime ? 44 : 26,
            ...(!isTime && { values: (_: uPlot, xs: number[]) => xs.map(formatX) }),
          },
          { ...axis, size: 48, values: (_, values) => values.map(formatShort) },
        ],
        series: [{}, { stroke: accent!, fill: area!, width: 2, points: { show: false } }],
      },
      [[], []],
      element,
    );
    plot.current = made;
    return () => made.destroy();
  }, [frame, theme, isTime, formatX, height]);

  useEffect(() => {
    if (width > 0) plot.current?.setSize({ width, height });
  }, [width, height]);

  useEffect(() => {
    plot.current?.setData([x, y]); // also of one that was made anew
  }, [x, y, theme, isTime, formatX, height]);

  return <div className="plot" ref={frame} role="img" aria-label={label} />;
}
