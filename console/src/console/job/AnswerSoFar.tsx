import { useMemo } from "react";
import type { Followed } from "../live/useFollow";
import { Empty } from "../parts/Empty";
import { formatPercent } from "../parts/format";
import { asRows } from "./answer";
import { AnswerChart } from "./AnswerChart";

/** What a job that runs has found so far. */
export function AnswerSoFar({ partial, coverage }: Pick<Followed, "partial" | "coverage">) {
  const rows = useMemo(() => asRows(partial ?? []), [partial]);
  if (rows.length === 0) {
    return (
      <Empty title="Nothing to show yet">
        <p>Jobs tell their answer so far if they were asked to, by partialEveryMs.</p>
      </Empty>
    );
  }
  return (
    <>
      <p className="muted">
        The answer so far{coverage !== null && `, from ${formatPercent(coverage)} of the input`}
      </p>
      <AnswerChart rows={rows} />
    </>
  );
}
