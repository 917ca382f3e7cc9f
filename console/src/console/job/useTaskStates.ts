import { useEffect, useRef, useState } from "react";
import { useClient, type Client } from "urql";
import {
  TaskStatesDocument,
  type StatusFragment,
  type TaskFragment,
  type TaskStatesQueryVariables,
} from "../../graphql/generated";
import { totalOf } from "./cells";

/** Jobs of more tasks are drawn from their counts: to read each would cost the service too much. */
export const MOST_READ = 1_000;
const EVERY_MS = 1_000;
/** Reading may take up to a tenth of the time. */
const RESTS = 10;

/** Every task of a job that has not too many, read again as their counts change; else null. */
export function useTaskStates(id: string, status: StatusFragment | null): TaskFragment[] | null {
  const client = useClient();
  const [tasks, setTasks] = useState<TaskFragment[] | null>(null);
  const total = status ? totalOf(status.map) + totalOf(status.reduce) : 0;
  const isFew = total > 0 && total <= MOST_READ;
  const counts = useRef("");
  useEffect(() => {
    counts.current = JSON.stringify([status?.run, status?.map, status?.reduce]);
  }, [status]);

  useEffect(() => {
    if (!isFew) return;
    let isOver = false;
    let timer: ReturnType<typeof setTimeout>;
    let known = "";
    const look = async () => {
      const present = counts.current;
      const begun = performance.now();
      const found = present === known ? null : await allTasks(client, id);
      if (isOver) return;
      if (found) {
        known = present;
        setTasks(found);
      }
      const took = performance.now() - begun;
      timer = setTimeout(() => void look(), Math.max(EVERY_MS, RESTS * took));
    };
    void look();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [client, id, isFew]);
  return isFew ? tasks : null;
}

async function allTasks(client: Client, id: string): Promise<TaskFragment[] | null> {
  const tasks: TaskFragment[] = [];
  const variables: TaskStatesQueryVariables = { id, after: null };
  while (tasks.length <= MOST_READ) {
    const { data } = await client.query(TaskStatesDocument, variables).toPromise();
    const page = data?.job?.tasks;
    if (!page) return null;
    tasks.push(...page.edges.map(({ node }) => node));
    if (!page.pageInfo.hasNextPage) return tasks;
    variables.after = page.pageInfo.endCursor;
  }
  return null;
}
