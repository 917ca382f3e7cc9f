import { useCallback, useEffect, useRef, useState } from "react";

export interface Page<Item> {
  items: Item[];
  total?: number;
  hasNextPage: boolean;
  endCursor: string | null | undefined;
}

/** Reads one page; null when there is nothing to read from, which is asked again by a new `read`. */
export type ReadPage<Item> = (after: string | null) => Promise<Page<Item> | null>;

interface Pages<Item> {
  items: Item[];
  total: number | null;
  hasMore: boolean;
  isLoading: boolean;
}

/** Pages of a connection, one after another; begins anew with another `read` or `edition`. */
export function usePages<Item>(
  read: ReadPage<Item>,
  edition: unknown = null,
): Pages<Item> & { readMore: () => void } {
  const [pages, setPages] = useState<Pages<Item>>(nothing);
  const next = useRef<{ read: ReadPage<Item>; after: string | null; turn: number } | null>(null);
  const turn = useRef(0);

  const readMore = useCallback(async () => {
    const asked = next.current;
    if (!asked) return;
    next.current = null;
    setPages((pages) => ({ ...pages, isLoading: true }));
    const page = await asked.read(asked.after);
    if (asked.turn !== turn.current) return; // begun anew meanwhile
    if (page?.hasNextPage) next.current = { ...asked, after: page.endCursor ?? null };
    setPages(({ items, total }) => ({
      items: asked.after === null ? (page?.items ?? []) : [...items, ...(page?.items ?? [])],
      total: page?.total ?? total,
      hasMore: page?.hasNextPage ?? false,
      isLoading: false,
    }));
  }, []);

  useEffect(() => {
    turn.current += 1;
    next.current = { read, after: null, turn: turn.current };
    void readMore();
  }, [read, readMore, edition]);

  return { ...pages, readMore: useCallback(() => void readMore(), [readMore]) };
}

const nothing = { items: [], total: null, hasMore: false, isLoading: true };
