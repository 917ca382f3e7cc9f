import type { Job } from "./job";

export function JobView({ job: { status, rows, error } }: { job: Job }) {
  const columns = Object.keys(rows?.[0] ?? {});
  return (
    <>
      {error && <p role="alert">{error.message}</p>}
      {status && (
        <p>
          <progress value={status.ratio ?? undefined} aria-label={`Job ${status.id}`} />{" "}
          <output>{status.state}</output> {status.error?.message}
        </p>
      )}
      {rows && (
        <table>
          <thead>
            <tr>
              {columns.map((name) => (
                <th key={name}>{name}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, index) => (
              <tr key={index}>
                {columns.map((name) => (
                  <td key={name}>{String(row[name])}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
