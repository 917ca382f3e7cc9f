import type { JobState, TaskState } from "../../graphql/generated";

export type AnyState = JobState | TaskState;

export const LIVE_STATES: readonly JobState[] = ["QUEUED", "RUNNING", "CANCELLING"];
export const JOB_STATES: readonly JobState[] = [
  ...LIVE_STATES,
  "SUCCEEDED",
  "PARTIALLY_SUCCEEDED",
  "FAILED",
  "CANCELLED",
  "TIMED_OUT",
];

export const STATE_NAMES: Record<AnyState, string> = {
  QUEUED: "Queued",
  PENDING: "Pending",
  RUNNING: "Running",
  CANCELLING: "Cancelling",
  SUCCEEDED: "Succeeded",
  PARTIALLY_SUCCEEDED: "Partial",
  FAILED: "Failed",
  CANCELLED: "Cancelled",
  TIMED_OUT: "Timed out",
};

export const isLive = (state: JobState): boolean => LIVE_STATES.includes(state);
