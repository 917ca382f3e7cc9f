import { expect, test } from "vitest";
import { listed, withPushed, withRead, type JobRow, type Jobs } from "./jobList";

const job = (id: string, version: number, more: Partial<JobRow> = {}): JobRow =>
  ({
    id,
    name: null,
    tags: [],
    program: { name: "wordcount" },
    createdAt: `2026-01-01T00:00:0${version}Z`,
    status: { id, version, state: "RUNNING" },
    ...more,
  }) as JobRow;

const jobs = (...rows: JobRow[]): Jobs => new Map(rows.map((row) => [row.id, row]));

test("a state that was pushed replaces an older one only", () => {
  const before = jobs(job("a", 5));
  const pushed = (version: number) => [{ ...before.get("a")!.status, version }];

  expect(withPushed(before, pushed(6)).get("a")!.status.version).toBe(6);
  expect(withPushed(before, pushed(4)).get("a")!.status.version).toBe(5);
});

test("states of jobs that are not listed are passed over", () => {
  expect(withPushed(jobs(), [job("a", 1).status]).size).toBe(0);
});

test("what was read late does not undo what was pushed", () => {
  const after = withRead(jobs(job("a", 5)), [job("a", 3, { name: "read" })]);

  expect(after.get("a")!.status.version).toBe(5);
  expect(after.get("a")!.name).toBe("read");
});

test("jobs that are read alone replace the others, but not newer states", () => {
  const after = withRead(jobs(job("a", 5), job("b", 1)), [job("a", 3)], { alone: true });

  expect([...after.keys()]).toEqual(["a"]);
  expect(after.get("a")!.status.version).toBe(5);
});

test("jobs are listed newest first, those that hold every word", () => {
  const all = jobs(job("a", 1), job("b", 2), job("c", 3, { name: "Nightly", tags: ["eu"] }));

  expect(listed(all, "").map(({ id }) => id)).toEqual(["c", "b", "a"]);
  expect(listed(all, "night EU").map(({ id }) => id)).toEqual(["c"]);
  expect(listed(all, "night us")).toEqual([]);
});
