import type { CombinedError } from "@urql/core";

/** What every outcome of a mutation has in common. */
export interface Outcome {
  __typename: string;
  message?: string;
  issues?: { path: string[]; message: string }[];
}

/** Why something did not work, in a sentence; null if it did. */
export function problemOf(
  error: CombinedError | undefined,
  outcome: Outcome | null | undefined,
): string | null {
  if (error?.networkError && !error.graphQLErrors.length) return "The service does not answer.";
  if (error) return error.graphQLErrors.map(({ message }) => message).join(" ");
  if (outcome?.issues) return outcome.issues.map(({ message }) => message).join(" ");
  return outcome?.message ?? null;
}
