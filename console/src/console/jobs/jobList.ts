/** The list of jobs as a value: pages that were read, with the states that were pushed since. */

import type { RowFragment, StatusFragment } from "../../graphql/generated";

export type JobRow = RowFragment;
export type Jobs = ReadonlyMap<string, JobRow>;

/** Adds jobs that were read, or has them alone; a newer state that had been pushed before stays. */
export function withRead(jobs: Jobs, read: readonly JobRow[], { alone = false } = {}): Jobs {
  const next = new Map(alone ? [] : jobs);
  for (const job of read) {
    const known = jobs.get(job.id);
    const isOlder = known && known.status.version > job.status.version;
    next.set(job.id, isOlder ? { ...job, status: known.status } : job);
  }
  return next;
}

/** Replaces the states of jobs that are listed; all in one step, however many came at once. */
export function withPushed(jobs: Jobs, pushed: readonly StatusFragment[]): Jobs {
  const next = new Map(jobs);
  for (const status of pushed) {
    const job = next.get(status.id);
    if (job && status.version > job.status.version) next.set(status.id, { ...job, status });
  }
  return next;
}

/** Newest first; only those whose name, program, tags or id hold all words of `search`. */
export function listed(jobs: Jobs, search: string): JobRow[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [...jobs.values()].filter((job) => {
    const text = [job.id, job.name, job.program?.name ?? "sql", ...job.tags]
      .join(" ")
      .toLowerCase();
    return words.every((word) => text.includes(word));
  });
  return found.sort((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt));
}

/** How a job is called where there is little room. */
export const titleOf = ({ name, program }: Pick<JobRow, "name" | "program">): string =>
  name ?? program?.name ?? "SQL";
