import { useMemo } from "react";
import type { JobQuery } from "../../graphql/generated";
import { formatCount, formatTime, formatValue } from "../parts/format";
import { useSpec } from "./useSpec";

/** Items sent along that are shown; a job may have a hundred thousand. */
const SHOWN_ITEMS = 20;

export function Details({ job }: { job: NonNullable<JobQuery["job"]> }) {
  const facts: [string, string | null][] = [
    ["Submitted by", job.submittedBy],
    ["Submitted", formatTime(job.createdAt)],
    ["Started", job.startedAt && formatTime(job.startedAt)],
    ["Ended", job.finishedAt && formatTime(job.finishedAt)],
    ["Erased after", job.expiresAt && formatTime(job.expiresAt)],
    ["Webhook", job.webhook && webhookSaid(job.webhook)],
  ];
  return (
    <div className="details">
      <dl>
        {facts.map(([name, value]) => value && <Fact key={name} name={name} value={value} />)}
        {job.counters.map(({ name, value }) => (
          <Fact key={`counter ${name}`} name={name} value={formatValue(value)} />
        ))}
      </dl>
      <Spec id={job.id} />
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

function Spec({ id }: { id: string }) {
  const { job } = useSpec(id);
  const text = useMemo(() => job && textOf(job.spec), [job]);
  return (
    <pre tabIndex={0} aria-label="The job as accepted">
      {text ?? "Reading…"}
    </pre>
  );
}

function textOf(spec: unknown): string {
  const shown = (name: string, value: unknown): unknown => {
    if (name !== "inline" || !Array.isArray(value) || value.length <= SHOWN_ITEMS) return value;
    return [...(value.slice(0, SHOWN_ITEMS) as unknown[]), `… ${formatCount(value.length)} in all`];
  };
  return JSON.stringify(spec, (name, value: unknown) => shown(name, value) ?? undefined, 2);
}

type Webhook = NonNullable<NonNullable<JobQuery["job"]>["webhook"]>;

function webhookSaid({ host, state, attempts, lastStatusCode }: Webhook): string {
  const tries =
    attempts > 0 ? `, ${attempts === 1 ? "1 try" : `${formatCount(attempts)} tries`}` : "";
  const answer = lastStatusCode ? `, answered ${lastStatusCode}` : "";
  return `${state.toLowerCase()}: ${host}${tries}${answer}`;
}
