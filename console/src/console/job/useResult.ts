import { useCallback, useEffect, useMemo, useState } from "react";
import { useClient } from "urql";
import { ResultDocument, RowsDocument, type ResultQuery } from "../../graphql/generated";
import { useConnection } from "../live/connection";
import { usePages, type Page } from "../parts/usePages";
import { asRows, type ResultRow } from "./answer";

/** Rows up to which the chart shows all of the result. */
const DRAWN_ROWS = 5_000;

export type JobResult = NonNullable<NonNullable<ResultQuery["job"]>["result"]>;

export interface FoundResult {
  /** Null if there is none. */
  result: JobResult | null;
  isReading: boolean;
  rows: ResultRow[];
  /** Those that are drawn. */
  drawn: ResultRow[];
  readMore: () => void;
}

/** The result of a job that has ended: `edition` differs with each end of it, and is null until then. */
export function useResult(id: string, edition: string | null): FoundResult {
  const client = useClient();
  const { generation } = useConnection();
  const [found, setFound] = useState<{ edition: string; result: JobResult | null } | null>(null);
  useEffect(() => {
    if (!edition) return;
    let isOld = false;
    const ask = async () => {
      const { data } = await client.query(ResultDocument, { id }).toPromise();
      if (data && !isOld) setFound({ edition, result: data.job?.result ?? null });
    };
    void ask();
    return () => {
      isOld = true;
    };
  }, [client, id, edition, generation]);

  const isEnded = edition !== null;
  const read = useCallback(
    async (after: string | null): Promise<Page<ResultRow> | null> => {
      if (!isEnded) return null;
      const { data } = await client.query(RowsDocument, { id, after }).toPromise();
      const rows = data?.job?.result?.rows;
      return rows ? { items: asRows(rows.edges.map(({ node }) => node)), ...rows.pageInfo } : null;
    },
    [client, id, isEnded],
  );
  const { items: rows, hasMore, isLoading, readMore } = usePages(read, `${edition} ${generation}`);
  const present = found?.edition === edition ? found : null;
  const result = present?.result ?? null;
  const isDrawable = (result?.rowCount ?? Infinity) <= DRAWN_ROWS;
  useEffect(() => {
    if (isDrawable && hasMore && !isLoading) readMore();
  }, [isDrawable, hasMore, isLoading, readMore]);
  const drawn = useMemo(() => rows.slice(0, DRAWN_ROWS), [rows]);
  return {
    result,
    isReading: present === null || (result !== null && isLoading && rows.length === 0),
    rows,
    drawn,
    readMore,
  };
}
