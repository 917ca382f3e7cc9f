import { useMemo } from "react";
import { DataTable, type Column } from "../parts/DataTable";
import { formatAge, formatDuration, formatPercent, formatShort, secondsOf } from "../parts/format";
import { Progress } from "../parts/Progress";
import { StateBadge } from "../parts/StateBadge";
import { isLive } from "../parts/states";
import { Tags } from "../parts/Tags";
import { useNow } from "../parts/useNow";
import { jobPath } from "../route";
import { titleOf, type JobRow } from "./jobList";

interface Props {
  jobs: JobRow[];
  onEnd: () => void;
}

export function JobTable({ jobs, onEnd }: Props) {
  const now = useNow(true);
  const columns = useMemo(() => columnsAt(now), [now]);
  return (
    <DataTable
      label="Jobs"
      columns={columns}
      rows={jobs}
      keyOf={({ id }) => id}
      rowHeight={56}
      onEnd={onEnd}
    />
  );
}

const columnsAt = (now: number): Column<JobRow>[] => [
  {
    id: "job",
    header: "Job",
    meta: { width: "minmax(8rem, 2.2fr)" },
    cell: ({ row: { original: job } }) => (
      <a className="job-link" href={jobPath(job.id)}>
        <strong title={titleOf(job)}>{titleOf(job)}</strong>
        <small>{job.name ? (job.program?.name ?? "SQL") : job.id}</small>
      </a>
    ),
  },
  {
    id: "state",
    header: "State",
    meta: { width: "minmax(9.2rem, 1fr)" },
    cell: ({ row: { original: job } }) => (
      <>
        <StateBadge state={job.status.state} />
        <JobProgress job={job} />
      </>
    ),
  },
  {
    id: "items",
    header: "Items",
    meta: { width: "6rem", wide: true, numeric: true },
    cell: ({ row: { original: job } }) => {
      const { succeeded, total } = job.status.items;
      return formatShort(total ?? succeeded);
    },
  },
  {
    id: "tags",
    header: "Tags",
    meta: { width: "minmax(4rem, 1fr)", wide: true },
    cell: ({ row: { original: job } }) => <Tags tags={job.tags} />,
  },
  {
    id: "time",
    header: "Took",
    meta: { width: "5.5rem", wide: true, numeric: true },
    cell: ({ row: { original: job } }) => {
      if (!job.startedAt) return "";
      const live = isLive(job.status.state);
      const end = live ? now : secondsOf(job.finishedAt ?? job.status.updatedAt);
      return formatDuration(Math.max(0, end - secondsOf(job.startedAt)));
    },
  },
  {
    id: "age",
    header: "Submitted",
    meta: { width: "6rem", wide: true, numeric: true },
    cell: ({ row: { original: job } }) => (
      <time dateTime={job.createdAt}>{formatAge(job.createdAt, now)}</time>
    ),
  },
];

function JobProgress({ job: { status, id } }: { job: JobRow }) {
  if (!isLive(status.state)) return null;
  return (
    <div className="with-figure">
      <Progress label={`Progress of ${id}`} ratio={status.ratio} state={status.state} />
      <span>{status.ratio === null ? "…" : formatPercent(status.ratio)}</span>
    </div>
  );
}
