import type { JobState } from "../../graphql/generated";

/** What the list of jobs is narrowed to; empty is all. */
export interface Wanted {
  search: string;
  state: JobState | "";
  program: string;
  tag: string;
}
