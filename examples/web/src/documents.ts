// What the answers say, whichever client asked; their types are made from the schema.
import type { FollowSubscription, RowsQuery, SubmitJobInput, SubmitMutation } from "./generated";

export type JobStatus = FollowSubscription["jobStatus"];

/** A field for each column. */
export type Row = Record<string, unknown>;

/** Returns the id of the job; submitJob answers with one of several outcomes, all others throw. */
export function jobOf(data: SubmitMutation | null | undefined): string {
  const outcome = data?.submitJob;
  if (!outcome) throw new Error("The service has not answered.");
  if ("job" in outcome) return outcome.job.id;
  throw new Error(`${outcome.code}: ${outcome.message}`);
}

export const rowsOf = (data: RowsQuery | undefined): Row[] | undefined =>
  data?.job?.result?.rows.edges.map(({ node }) => node as Row);

export const hasResult = (status: JobStatus | undefined): boolean =>
  status?.state === "SUCCEEDED" || status?.state === "PARTIALLY_SUCCEEDED";

/** Repeating a request whose answer was lost makes no second job. */
export const repeatable = (input: SubmitJobInput): SubmitJobInput => ({
  idempotencyKey: Array.from(crypto.getRandomValues(new Uint32Array(4)), String).join("-"),
  ...input,
});
