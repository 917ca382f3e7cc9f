import { useCallback } from "react";
import { useClient } from "urql";
import { FailuresDocument, type FailuresQuery } from "../../graphql/generated";
import { formatCount } from "../parts/format";
import { usePages, type Page } from "../parts/usePages";

type Failure = NonNullable<FailuresQuery["job"]>["failures"]["edges"][number]["node"];

/** Items that failed for good; read anew as their number changes. */
export function Failures({ id, count }: { id: string; count: number }) {
  const client = useClient();
  const read = useCallback(
    async (after: string | null): Promise<Page<Failure> | null> => {
      const { data } = await client.query(FailuresDocument, { id, after }).toPromise();
      const found = data?.job?.failures;
      return found
        ? {
            items: found.edges.map(({ node }) => node),
            total: found.totalCount,
            ...found.pageInfo,
          }
        : null;
    },
    [client, id],
  );
  const { items, total, hasMore, readMore } = usePages(read, count);
  if (items.length === 0) return null;
  return (
    <section className="card" aria-labelledby="failures">
      <h2 id="failures">Failed items</h2>
      <p className="muted">{formatCount(total ?? items.length)} failed for good</p>
      <ul className="failures">
        {items.map((failure, index) => (
          <li key={index}>
            <p>
              <strong>{failure.error.code}</strong> {failure.error.message}
            </p>
            {failure.preview && <pre>{failure.preview}</pre>}
            <small className="muted">
              {failure.location} · {failure.taskId}
            </small>
          </li>
        ))}
      </ul>
      {hasMore && (
        <button className="button" type="button" onClick={readMore}>
          Show more
        </button>
      )}
    </section>
  );
}
