import { useEffect, useState } from "react";
import { useQuery, type AnyVariables, type UseQueryArgs } from "urql";
import { useConnection } from "./connection";
import { isPassing } from "./isPassing";

export const ASKED_AGAIN_MS = 3_000;

/**
 * A query that is asked again whenever the connection is back, after a while if it failed, or
 * `everyMs`. What was answered last stays while the service is away.
 */
export function useLiveQuery<Data, Variables extends AnyVariables>(
  args: UseQueryArgs<Variables, Data>,
  { everyMs }: { everyMs?: number | undefined } = {},
) {
  const { generation } = useConnection();
  const [result, ask] = useQuery<Data, Variables>(args);
  const [last, setLast] = useState<{ key: number | undefined; data: Data }>();
  const key = result.operation?.key;
  if (result.data && result.data !== last?.data) setLast({ key, data: result.data });
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
  const isAway = !result.data && isPassing(result.error) && last?.key === key;
  return [isAway ? { ...result, data: last?.data } : result, ask] as const;
}
