import { useCallback, useEffect, useState } from "react";
import { useClient } from "urql";
import { FollowDocument, type FollowSubscription } from "../../graphql/generated";

export type Followed = FollowSubscription["jobStatus"];

/**
 * The newest state of a job, and a function to follow it anew after its subscription has ended.
 * Reconnecting is the socket's business: the service then begins with the present state.
 */
export function useFollow(id: string): [Followed | null, () => void] {
  const client = useClient();
  const [status, setStatus] = useState<Followed | null>(null);
  const [times, setTimes] = useState(0);
  useEffect(() => {
    const following = client.subscription(FollowDocument, { id }).subscribe(({ data }) => {
      const next = data?.jobStatus;
      if (!next) return;
      setStatus((last) => (last?.id === next.id && last.version > next.version ? last : next));
    });
    return () => following.unsubscribe();
  }, [client, id, times]);
  return [status?.id === id ? status : null, useCallback(() => setTimes((n) => n + 1), [])];
}
