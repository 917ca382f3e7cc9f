import { useCallback, useMemo, useState } from "react";
import { useClient } from "urql";
import { TasksDocument, type TaskFilter, type TasksQuery } from "../../graphql/generated";
import { DataTable, type Column } from "../parts/DataTable";
import { formatCount, formatDuration, secondsOf } from "../parts/format";
import { StateBadge } from "../parts/StateBadge";
import { STATE_NAMES } from "../parts/states";
import { usePages, type Page } from "../parts/usePages";
import { TASK_STATES } from "./cells";
import { nameOf, TaskDetail } from "./TaskDetail";

type Task = NonNullable<TasksQuery["job"]>["tasks"]["edges"][number]["node"];

interface Props {
  id: string;
  filter: TaskFilter;
  onFilter: (filter: TaskFilter) => void;
}

const KINDS = ["MAP", "REDUCE", "FINISH"] as const;

export function TaskTable({ id, filter, onFilter }: Props) {
  const client = useClient();
  const [times, setTimes] = useState(0);
  const { kind, state } = filter;
  const read = useCallback(
    async (after: string | null): Promise<Page<Task> | null> => {
      const filter = { ...(kind && { kind }), ...(state && { state }) };
      const { data } = await client.query(TasksDocument, { id, after, filter }).toPromise();
      const found = data?.job?.tasks;
      return found
        ? { items: found.edges.map(({ node }) => node), total: found.totalCount, ...found.pageInfo }
        : null;
    },
    [client, id, kind, state],
  );
  const { items, total, readMore, isLoading } = usePages(read, times);
  const [picked, setPicked] = useState<Task | null>(null);
  const columns = useMemo(() => columnsFor(setPicked), []);
  return (
    <>
      <div className="filters">
        <select
          aria-label="Kind of task"
          value={kind ?? ""}
          onChange={({ target }) => onFilter({ ...filter, kind: (target.value || null) as never })}
        >
          <option value="">All phases</option>
          {KINDS.map((kind) => (
            <option key={kind} value={kind}>
              {kind[0] + kind.slice(1).toLowerCase()}
            </option>
          ))}
        </select>
        <select
          aria-label="State of task"
          value={state ?? ""}
          onChange={({ target }) => onFilter({ ...filter, state: (target.value || null) as never })}
        >
          <option value="">Any state</option>
          {TASK_STATES.map((state) => (
            <option key={state} value={state}>
              {STATE_NAMES[state]}
            </option>
          ))}
        </select>
        <button className="button" type="button" onClick={() => setTimes(times + 1)}>
          Read again
        </button>
        <span className="muted" role="status">
          {isLoading ? "Reading…" : total === 1 ? "1 task" : `${formatCount(total ?? 0)} tasks`}
        </span>
      </div>
      {items.length > 0 && (
        <DataTable
          label="Tasks"
          columns={columns}
          rows={items}
          keyOf={(task) => task.id}
          total={total ?? items.length}
          rowHeight={40}
          onEnd={readMore}
        />
      )}
      <div aria-live="polite">{picked && <TaskDetail task={picked} />}</div>
    </>
  );
}

const columnsFor = (onPick: (task: Task) => void): Column<Task>[] => [
  {
    id: "task",
    header: "Task",
    meta: { width: "7rem" },
    cell: ({ row: { original: task } }) => (
      <button type="button" className="link" onClick={() => onPick(task)}>
        {nameOf(task)}
      </button>
    ),
  },
  {
    id: "state",
    header: "State",
    meta: { width: "8rem" },
    cell: ({ row: { original: task } }) => <StateBadge state={task.state} />,
  },
  {
    id: "items",
    header: "Items",
    meta: { width: "5rem", numeric: true, wide: true },
    cell: ({ row: { original: task } }) => formatCount(task.items),
  },
  {
    id: "attempts",
    header: "Tries",
    meta: { width: "4rem", numeric: true, wide: true },
    cell: ({ row: { original: task } }) => task.attempts,
  },
  {
    id: "took",
    header: "Took",
    meta: { width: "5rem", numeric: true, wide: true },
    cell: ({ row: { original: task } }) =>
      task.startedAt && task.finishedAt
        ? formatDuration(secondsOf(task.finishedAt) - secondsOf(task.startedAt))
        : "",
  },
  {
    id: "worker",
    header: "Worker",
    meta: { width: "minmax(6rem, 1fr)", wide: true },
    cell: ({ row: { original: task } }) => <span title={task.worker ?? ""}>{task.worker}</span>,
  },
  {
    id: "said",
    header: "Log or error",
    meta: { width: "minmax(8rem, 2fr)" },
    cell: ({ row: { original: task } }) => {
      const said = task.error?.message ?? task.log.join("\n");
      return <span title={said}>{said}</span>;
    },
  },
];
