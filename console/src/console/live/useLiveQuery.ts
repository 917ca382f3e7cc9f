import { useEffect } from "react";
import { useQuery, type AnyVariables, type UseQueryArgs } from "urql";
import { useConnection } from "./connection";
import { isPassing } from "./isPassing";

export const ASKED_AGAIN_MS = 3_000;

/** A query that is asked again whenever the connection is back, after a while if it failed, or `everyMs`. */
export function useLiveQuery<Data, Variables extends AnyVariables>(
  args: UseQueryArgs<Variables, Data>,
  { everyMs }: { everyMs?: number | undefined } = {},
) {
  const { generation } = useConnection();
  const [result, ask] = useQuery<Data, Variables>(args);
  useEffect(() => {
    if (generation > 0) ask();
  }, [generation, ask]);
  useEffect(() => {
    if (!isPassing(result.error)) return;
    const timer = setTimeout(ask, ASKED_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [result.error, ask]);
  useEffect(() => {
    if (!everyMs) return;
    const timer = setInterval(ask, everyMs);
    return () => clearInterval(timer);
  }, [everyMs, ask]);
  return [result, ask] as const;
}
