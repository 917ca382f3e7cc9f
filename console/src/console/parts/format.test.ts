import { expect, test } from "vitest";
import { formatBytes, formatDuration, formatShortened, formatValue } from "./format";
import { rangeOf, stepsUpTo } from "./steps";

test("sizes are those of the command line", () => {
  const sizes = [0, 999, 1_000, 7_105, 31_500_000, 2_000_000_000, 4e12, 5e15];

  expect(sizes.map(formatBytes)).toEqual([
    "0 B",
    "999 B",
    "1.0 kB",
    "7.1 kB",
    "31.5 MB",
    "2.0 GB",
    "4.0 TB",
    "5000.0 TB",
  ]);
});

test("what is rounded up to the next unit is said in it", () => {
  const times = [0, 0.25, 0.9996, 9.94, 9.97, 59.4, 59.7, 60, 90, 3_599.6, 3_660, 7_200];

  expect(times.map(formatDuration)).toEqual([
    "0 s",
    "250 ms",
    "1.0 s",
    "9.9 s",
    "10 s",
    "59 s",
    "1 min",
    "1 min",
    "1 min 30 s",
    "1 h",
    "1 h 1 min",
    "2 h",
  ]);
});

test("no two labels of an axis of durations are the same", () => {
  for (const longest of [0.004, 0.9, 3.01, 9.9, 12, 59, 61, 700, 3_700, 90_000, 800_000]) {
    const [begin, end] = rangeOf(longest);
    const steps = stepsUpTo(longest);

    expect(steps[0]).toBeLessThanOrEqual(end / 5);
    for (const step of steps.filter((step) => step <= end)) {
      const ticks = Array.from(
        { length: Math.floor((end - begin) / step) + 1 },
        (_, n) => n * step,
      );
      const labels = ticks.map(formatDuration);
      expect(new Set(labels).size).toBe(labels.length);
    }
  }
});

test("a value is shown with all its digits, and in a chart with a few", () => {
  expect(formatValue(1234567.12345678)).toBe("1,234,567.12345678");
  expect(formatValue(1e300)).toBe("1e+300");
  expect(formatValue({ a: [1, null] })).toBe('{"a":[1,null]}');
  expect(formatValue(null)).toBe("");
  expect(formatShortened(0.123456)).toBe("0.1235");
  expect(formatShortened(-(2 ** 63))).toBe("-9,223,372,036,854,776,000");
  expect(formatShortened(123456789012345680000)).toBe("1.2346e+20");
});
