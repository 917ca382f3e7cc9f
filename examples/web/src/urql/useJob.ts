// A job with urql: submitted, followed to its end, its rows.
import { useCallback } from "react";
import { useMutation, useQuery, useSubscription } from "urql";
import { hasResult, jobOf, repeatable, rowsOf } from "../documents";
import { FollowDocument, RowsDocument, SubmitDocument } from "../generated";
import type { SubmitJobInput } from "../generated";
import type { Job } from "../job";

/** Returns what submits a job and gives its id; it throws what the service says against it. */
export function useSubmitJob(): (input: SubmitJobInput) => Promise<string> {
  const [, submit] = useMutation(SubmitDocument);
  return useCallback(
    async (input) => {
      const { data, error } = await submit({ input: repeatable(input) });
      if (error) throw error;
      return jobOf(data);
    },
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
  const variables = { id: id ?? "" };
  const [followed] = useSubscription({ query: FollowDocument, variables, pause: !id });
  const status = followed.data?.jobStatus;
  const [read] = useQuery({ query: RowsDocument, variables, pause: !id || !hasResult(status) });
  return { status, rows: rowsOf(read.data), error: followed.error ?? read.error };
}
