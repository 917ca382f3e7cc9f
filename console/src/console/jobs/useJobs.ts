import { useCallback, useEffect, useRef, useState } from "react";
import { useClient } from "urql";
import {
  FeedDocument,
  JobsDocument,
  type JobFilter,
  type StatusFragment,
} from "../../graphql/generated";
import { useConnection } from "../live/connection";
import { isPassing } from "../live/isPassing";
import { ASKED_AGAIN_MS } from "../live/useLiveQuery";
import { withPushed, withRead, type Jobs } from "./jobList";

const PAGE = 50;
const LARGEST_PAGE = 200;
/** Pushed states are shown together this often, so a thousand live jobs cost as much as one. */
const SHOWN_EVERY_MS = 200;
/** By then a subscription that has been sent is in force. */
const SETTLED_MS = 1_000;
const READ_EVERY_MS = 15_000;

interface Pages {
  jobs: Jobs;
  end: string | null;
  hasMore: boolean;
  isLoading: boolean;
  problem: string | null;
  isPassing: boolean;
}

const NONE: Pages = {
  jobs: new Map(),
  end: null,
  hasMore: false,
  isLoading: true,
  problem: null,
  isPassing: false,
};

/** Jobs that match `filter`, kept up to date by the feed; `readMore` reads the next page. */
export function useJobs(filter: JobFilter): Pages & { readMore: () => void } {
  const client = useClient();
  const { generation, state } = useConnection();
  const [pages, setPages] = useState(NONE);
  const present = useRef(pages);
  present.current = pages;
  const key = JSON.stringify(filter);
  const wanted = useRef(key);
  wanted.current = key;
  // Reads of the first page, whose answers may overtake each other.
  const turns = useRef({ asked: 0, shown: 0 });

  const read = useCallback(
    async (first: number, after: string | null, isFirst: boolean) => {
      if (isFirst) turns.current.asked += 1;
      const turn = turns.current.asked;
      const variables = { first, after, filter: JSON.parse(key) as JobFilter };
      const { data, error } = await client.query(JobsDocument, variables).toPromise();
      if (wanted.current !== key || (isFirst && turn < turns.current.shown)) return;
      if (isFirst) turns.current.shown = turn;
      setPages((pages) => {
        if (!data) {
          const problem = error?.graphQLErrors[0]?.message ?? "The service does not answer.";
          return { ...pages, isLoading: false, problem, isPassing: isPassing(error) };
        }
        const { edges, pageInfo } = data.jobs;
        const read = edges.map(({ node }) => node);
        // With none that is known, there are jobs between these and those that were read before.
        const isWhole =
          isFirst &&
          (!pageInfo.hasNextPage ||
            read.length >= pages.jobs.size ||
            !read.some(({ id }) => pages.jobs.has(id)));
        return {
          jobs: withRead(pages.jobs, read, { alone: isWhole }),
          end: isFirst && !isWhole ? pages.end : (pageInfo.endCursor ?? null),
          hasMore: isFirst && !isWhole ? pages.hasMore : pageInfo.hasNextPage,
          isLoading: false,
          problem: null,
          isPassing: false,
        };
      });
    },
    [client, key],
  );

  useEffect(() => setPages(NONE), [key]);

  useEffect(() => {
    void read(PAGE, null, true);
  }, [read]);

  // The feed begins with live jobs, so one that ended before it began must be read, soon after.
  useEffect(() => {
    if (state !== "live") return;
    const readAgain = () => {
      const known = present.current.jobs.size;
      void read(Math.min(LARGEST_PAGE, Math.max(PAGE, known)), null, true);
    };
    const soon = setTimeout(readAgain, SETTLED_MS);
    const timer = setInterval(readAgain, READ_EVERY_MS);
    return () => {
      clearTimeout(soon);
      clearInterval(timer);
    };
  }, [read, state, generation]);

  useEffect(() => {
    if (!pages.isPassing) return;
    const timer = setTimeout(() => void read(PAGE, null, true), ASKED_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [pages, read]);

  useEffect(() => {
    let waiting: StatusFragment[] = [];
    // Jobs that are not listed, by the state in which they were looked for: a filter may hide them.
    const lookedFor = new Map<string, string>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      const pushed = waiting;
      [waiting, timer] = [[], undefined];
      const unknown = pushed.filter(
        ({ id, state }) => !present.current.jobs.has(id) && lookedFor.get(id) !== state,
      );
      unknown.forEach(({ id, state }) => lookedFor.set(id, state));
      if (unknown.length > 0) void read(PAGE, null, true);
      setPages((pages) => ({ ...pages, jobs: withPushed(pages.jobs, pushed) }));
    };
    const feed = client.subscription(FeedDocument, {}).subscribe(({ data }) => {
      if (!data) return;
      waiting.push(data.jobFeed);
      timer ??= setTimeout(show, SHOWN_EVERY_MS);
    });
    return () => {
      clearTimeout(timer);
      feed.unsubscribe();
    };
  }, [client, read]);

  const readMore = useCallback(() => {
    const { end, hasMore, isLoading } = present.current;
    if (!hasMore || isLoading) return;
    setPages((pages) => ({ ...pages, isLoading: true }));
    void read(LARGEST_PAGE, end, false);
  }, [read]);

  return { ...pages, readMore };
}
