import type { JobQuery } from "../../graphql/generated";
import { formatTime, formatValue } from "../parts/format";

export function Details({ job }: { job: NonNullable<JobQuery["job"]> }) {
  const facts: [string, string | null][] = [
    ["Submitted by", job.submittedBy],
    ["Submitted", formatTime(job.createdAt)],
    ["Started", job.startedAt && formatTime(job.startedAt)],
    ["Ended", job.finishedAt && formatTime(job.finishedAt)],
    ["Erased after", job.expiresAt && formatTime(job.expiresAt)],
  ];
  return (
    <div className="details">
      <dl>
        {facts.map(([name, value]) => value && <Fact key={name} name={name} value={value} />)}
        {job.counters.map(({ name, value }) => (
          <Fact key={`counter ${name}`} name={name} value={formatValue(value)} />
        ))}
      </dl>
      <pre tabIndex={0} aria-label="The job as accepted">
        {JSON.stringify(job.spec, (_, value: unknown) => value ?? undefined, 2)}
      </pre>
    </div>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
