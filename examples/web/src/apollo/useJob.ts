// A job with Apollo Client: submitted, followed to its end, its rows.
import { skipToken, useMutation, useQuery, useSubscription } from "@apollo/client/react";
import { useCallback } from "react";
import { hasResult, jobOf, repeatable, rowsOf } from "../documents";
import { FollowDocument, RowsDocument, SubmitDocument } from "../generated";
import type { SubmitJobInput } from "../generated";
import type { Job } from "../job";

/** Returns what submits a job and gives its id; it throws what the service says against it. */
export function useSubmitJob(): (input: SubmitJobInput) => Promise<string> {
  const [submit] = useMutation(SubmitDocument);
  return useCallback(
    async (input) => jobOf((await submit({ variables: { input: repeatable(input) } })).data),
    [submit],
  );
}

/**
 * Returns a job as it is now, again whenever it changes.
 *
 * The first state is the present one. When the connection is lost, graphql-ws subscribes again and
 * gets the present one again: so there is nothing to catch up with.
 */
export function useJob(id: string | undefined): Job {
  const followed = useSubscription(FollowDocument, id ? { variables: { id } } : skipToken);
  const status = followed.data?.jobStatus;
  const wanted = id && hasResult(status);
  const read = useQuery(RowsDocument, wanted ? { variables: { id } } : skipToken);
  return { status, rows: rowsOf(read.data), error: followed.error ?? read.error };
}
