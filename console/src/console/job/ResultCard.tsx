import { Downloads } from "./Downloads";
import { ResultTable } from "./ResultTable";
import type { FoundResult } from "./useResult";

interface Props extends FoundResult {
  id: string;
  /** Of the job's state: files may be others with each. */
  version: number;
}

/** The rows of the result, if there is one, and all files. */
export function ResultCard({ id, version, result, rows, readMore }: Props) {
  return (
    <section className="card" aria-labelledby="result">
      <h2 id="result">{result ? "Result" : "Files"}</h2>
      {result && rows.length > 0 && (
        <ResultTable
          columns={result.columns}
          rows={rows}
          total={result.rowCount}
          onEnd={readMore}
        />
      )}
      <Downloads key={version} id={id} />
    </section>
  );
}
