import { useQuery } from "urql";
import { SpecDocument, type SpecQuery } from "../../graphql/generated";

export type SpecOfJob = NonNullable<SpecQuery["job"]>;

/** What was accepted: asked for where it is shown alone, because it holds the items sent along. */
export function useSpec(id: string): { job: SpecOfJob | null; isMissing: boolean } {
  const [{ data, fetching }] = useQuery({ query: SpecDocument, variables: { id } });
  return { job: data?.job ?? null, isMissing: !fetching && !data?.job };
}
