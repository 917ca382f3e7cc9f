import { expect, test } from "vitest";
import type { TasksFragment } from "../../graphql/generated";
import { asRows, barsOf, drawingOf, lineOf } from "./answer";
import { cellAt, gridOf, runsOf, runsOfEach, stateAt } from "./cells";
import { changesOf } from "./changes";
import { ratesOf, withSample, type Sample } from "./rates";

test("numbers are drawn by the column that names them", () => {
  const rows = [
    { city: "Turin", sales: 2, total: 12.5 },
    { city: "Oslo", sales: null, total: 30 },
  ];

  expect(drawingOf(rows)).toEqual({ label: "city", values: ["sales", "total"], isOrdered: false });
  expect(barsOf(rows, { label: "city", value: "total", most: 1 })).toEqual([
    { label: "Oslo", value: 30, said: "30" },
  ]);
});

test("rows without a number have no drawing", () => {
  expect(drawingOf([{ line: "text" }])).toBeNull();
  expect(drawingOf(asRows([1, 2]))).toBeNull();
  expect(drawingOf([])).toBeNull();
});

test("dates and numbers have an order, so a line can join them", () => {
  const rows = [
    { day: "2026-01-02", n: 2 },
    { day: "2026-01-01", n: 1 },
  ];

  expect(drawingOf(rows)!.isOrdered).toBe(true);
  expect(lineOf(rows, { label: "day", value: "n" })[1]).toEqual([1, 2]);
  expect(drawingOf([{ length: 3, lines: 1 }])!.isOrdered).toBe(true);
});

test("a hundred thousand tasks fit into a small grid, and no task is lost", () => {
  const tasks: TasksFragment = {
    total: 100_000,
    succeeded: 60_000,
    failed: 1,
    running: 8,
    pending: 39_991,
    retried: 0,
  };

  const grid = gridOf(100_000, 440);

  expect(grid.rows * grid.pitch).toBeLessThanOrEqual(132);
  expect(grid.cells * grid.tasksPerCell).toBeGreaterThanOrEqual(100_000);
  const runs = runsOf(tasks, grid);
  expect(runs.map(({ state }) => state)).toEqual(["SUCCEEDED", "FAILED", "RUNNING", "PENDING"]);
  expect(runs.at(-1)!.end).toBe(grid.cells);
  runs.forEach(({ end }, index) => expect(end).toBeGreaterThan(runs[index - 1]?.end ?? 0));
});

test("a few tasks get a square each", () => {
  expect(gridOf(7, 440)).toMatchObject({ cells: 7, rows: 1, tasksPerCell: 1, pitch: 16 });
});

const sample = (atS: number, items: number): Sample => ({ atS, items, bytes: items * 10 });

test("a steady job has a steady rate", () => {
  let samples: Sample[] = [];
  for (let second = 0; second < 20; second += 1)
    samples = withSample(samples, sample(second, second * 50));

  expect(new Set(ratesOf(samples).items)).toEqual(new Set([50]));
});

test("a redrive begins anew, and a long job is thinned out", () => {
  expect(withSample([sample(1, 10)], sample(2, 0))).toEqual([sample(2, 0)]);
  let samples: Sample[] = [];
  for (let second = 0; second < 5_000; second += 1)
    samples = withSample(samples, sample(second, second));
  expect(samples.length).toBeLessThanOrEqual(600);
  expect(samples.at(-1)).toEqual(sample(4_999, 4_999));
});

test("a point is in the square that is drawn there, or in none", () => {
  const grid = gridOf(25, 160);

  expect(grid.columns).toBe(10);
  expect(cellAt(grid, 17, 15)).toBe(1);
  expect(cellAt(grid, 0, 33)).toBe(20);
  expect(cellAt(grid, 100, 33)).toBeNull();
  expect(cellAt(grid, 161, 0)).toBeNull();
});

test("squares of tasks that were read stand in the order of the tasks", () => {
  const runs = runsOfEach([{ state: "FAILED" }, { state: "SUCCEEDED" }, { state: "FAILED" }]);

  expect([0, 1, 2, 3].map((cell) => stateAt(runs, cell))).toEqual([
    "FAILED",
    "SUCCEEDED",
    "FAILED",
    null,
  ]);
});

test("only what differs is changed, and tags by their difference", () => {
  const before = { maxConcurrency: null, toleratedFailureCount: 0, tags: ["a", "b"] };

  expect(
    changesOf(before, { maxConcurrency: 2, toleratedFailureCount: 0, tags: ["b", "c"] }),
  ).toEqual({ maxConcurrency: 2, addTags: ["c"], removeTags: ["a"] });
  expect(changesOf(before, {})).toEqual({ removeTags: ["a", "b"] });
});
