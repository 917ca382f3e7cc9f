import type { JobStatus, Row } from "./documents";

/** What a page shows of a job; whatever is not known yet is undefined. */
export interface Job {
  status: JobStatus | undefined;
  rows: Row[] | undefined;
  error: Error | undefined;
}
