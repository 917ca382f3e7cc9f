import type { TaskFragment } from "../../graphql/generated";
import { formatCount, formatDuration, secondsOf } from "../parts/format";
import { StateBadge } from "../parts/StateBadge";

interface Props {
  task: TaskFragment & { log?: string[] };
}

/** All that is known of one task. */
export function TaskDetail({ task }: Props) {
  const { startedAt, finishedAt, items, attempts, worker, error, log = [] } = task;
  const facts = [
    items > 0 && (items === 1 ? "1 item" : `${formatCount(items)} items`),
    attempts > 0 && (attempts === 1 ? "1 try" : `${formatCount(attempts)} tries`),
    startedAt && finishedAt && formatDuration(secondsOf(finishedAt) - secondsOf(startedAt)),
    worker,
  ].filter(Boolean);
  return (
    <div className="task-detail">
      <p>
        <strong>{nameOf(task)}</strong> <StateBadge state={task.state} />{" "}
        <span className="muted">{facts.join(" · ")}</span>
      </p>
      {error && (
        <p className="problem">
          <strong>{error.code}</strong> {error.message}
        </p>
      )}
      {log.length > 0 && <pre>{log.join("\n")}</pre>}
    </div>
  );
}

export const nameOf = ({ kind, index }: Pick<TaskFragment, "kind" | "index">): string =>
  `${kind.toLowerCase()} ${index}`;
