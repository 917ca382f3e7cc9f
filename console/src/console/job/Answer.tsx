import { Empty } from "../parts/Empty";
import { formatBytes, formatCount } from "../parts/format";
import { asRows } from "./answer";
import { AnswerChart } from "./AnswerChart";
import type { FoundResult } from "./useResult";

interface Props extends FoundResult {
  /** Shown until the result is read. */
  soFar: readonly unknown[];
}

/** How big the result of a job is, and a chart of it. */
export function Answer({ result, isReading, drawn, soFar }: Props) {
  if (isReading) {
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
        {result.rowCount === 1 ? "1 row" : `${formatCount(result.rowCount)} rows`},{" "}
        {formatBytes(result.byteSize)}
        {!result.exact && "; items are missing from it"}
      </p>
      <AnswerChart rows={drawn} areFirst={drawn.length < result.rowCount} />
    </>
  );
}
