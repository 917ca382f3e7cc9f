import type { CombinedError } from "@urql/core";

/** Whether a query failed for a reason that goes by itself, so that it is worth asking again. */
export const isPassing = (error: CombinedError | undefined): boolean =>
  error !== undefined &&
  (error.graphQLErrors.length === 0 ||
    error.graphQLErrors.some(({ extensions }) => extensions?.code === "UNAVAILABLE"));
