import { useCallback, useEffect, useMemo } from "react";
import { useClient, useQuery } from "urql";
import { ResultDocument, RowsDocument } from "../../graphql/generated";
import { Empty } from "../parts/Empty";
import { formatBytes, formatCount } from "../parts/format";
import { usePages, type Page } from "../parts/usePages";
import { asRows, type ResultRow } from "./answer";
import { AnswerChart } from "./AnswerChart";
import { ResultTable } from "./ResultTable";

/** Rows up to which the chart shows all of the result. */
const DRAWN_ROWS = 5_000;

interface Props {
  id: string;
  /** Shown until the result is read. */
  soFar: readonly unknown[];
}

/** The result of a job that has one: a chart and a table of its rows. */
export function Answer({ id, soFar }: Props) {
  const client = useClient();
  const [{ data, fetching }] = useQuery({ query: ResultDocument, variables: { id } });
  const result = data?.job?.result;

  const read = useCallback(
    async (after: string | null): Promise<Page<ResultRow> | null> => {
      const { data } = await client.query(RowsDocument, { id, after }).toPromise();
      const rows = data?.job?.result?.rows;
      return rows ? { items: asRows(rows.edges.map(({ node }) => node)), ...rows.pageInfo } : null;
    },
    [client, id],
  );
  const { items: rows, hasMore, isLoading, readMore } = usePages(read);
  const isDrawable = (result?.rowCount ?? Infinity) <= DRAWN_ROWS;
  useEffect(() => {
    if (isDrawable && hasMore && !isLoading) readMore();
  }, [isDrawable, hasMore, isLoading, readMore]);
  const drawn = useMemo(() => rows.slice(0, DRAWN_ROWS), [rows]);

  if (fetching || (result && isLoading && rows.length === 0)) {
    return (
      <>
        <p className="muted">Reading the result…</p>
        <AnswerChart rows={asRows(soFar)} />
      </>
    );
  }
  if (!result) return <Empty title="No result" />;
  if (result.rowCount === 0) return <Empty title="The result has no rows" />;
  return (
    <>
      <p className="muted">
        {formatCount(result.rowCount)} rows, {formatBytes(result.byteSize)}
        {!result.exact && "; items are missing from it"}
        {rows.length < result.rowCount && `; drawn from the first ${formatCount(drawn.length)}`}
      </p>
      <AnswerChart rows={drawn} />
      <ResultTable columns={result.columns} rows={rows} total={result.rowCount} onEnd={readMore} />
    </>
  );
}
