import { useEffect, useMemo, useRef, useState, type MouseEvent } from "react";
import type { TaskFragment, TasksFragment, TaskState } from "../../graphql/generated";
import { formatCount } from "../parts/format";
import { StateIcon } from "../parts/StateIcon";
import { STATE_NAMES } from "../parts/states";
import { useWidth } from "../parts/useWidth";
import { useTheme } from "../theme";
import {
  cellAt,
  countOf,
  gridOf,
  runsOf,
  runsOfEach,
  stateAt,
  TASK_STATES,
  totalOf,
  type Grid,
} from "./cells";
import { TaskDetail } from "./TaskDetail";

interface Props {
  label: string;
  tasks: TasksFragment;
  /** The tasks themselves, by their index; null where there are too many to read. */
  each: readonly TaskFragment[] | null;
  onPick: (state: TaskState) => void;
}

/** Tasks as squares: each in its own place, or, where they are many, drawn from their counts. */
export function TaskGrid({ label, tasks, each, onPick }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [frame, width] = useWidth<HTMLDivElement>();
  const theme = useTheme();
  const total = totalOf(tasks);
  const grid = useMemo(() => gridOf(total, width), [total, width]);
  const own = each?.length === total && grid.tasksPerCell === 1 ? each : null;
  const runs = useMemo(() => (own ? runsOfEach(own) : runsOf(tasks, grid)), [own, tasks, grid]);
  const [pointed, setPointed] = useState<number | null>(null);
  const [picked, setPicked] = useState<number | null>(null);
  const said = TASK_STATES.map((state) => `${countOf(tasks, state)} ${STATE_NAMES[state]}`);
  const shown = own?.[pointed ?? picked ?? -1];

  useEffect(() => {
    if (canvas.current && width > 0) draw(canvas.current, { runs, grid, width, picked });
  }, [runs, grid, width, picked, theme]);

  const cellOf = (event: MouseEvent) =>
    cellAt(grid, event.nativeEvent.offsetX, event.nativeEvent.offsetY);
  const pick = (event: MouseEvent) => {
    const cell = cellOf(event);
    const state = cell === null ? null : stateAt(runs, cell);
    if (own) setPicked(cell === picked ? null : cell);
    else if (state) onPick(state);
  };

  return (
    <div className="task-grid" ref={frame}>
      <div className="with-figure">
        <h3>{label}</h3>
        <span className="muted">
          {formatCount(total)} {total === 1 ? "task" : "tasks"}
          {tasks.retried > 0 && `, ${formatCount(tasks.retried)} tried again`}
        </span>
      </div>
      {/* The list of all tasks is the same for keys and screen readers. */}
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${label}: ${said.join(", ")}`}
        onMouseMove={(event) => setPointed(cellOf(event))}
        onMouseLeave={() => setPointed(null)}
        onClick={pick}
      />
      <ul className="legend">
        {TASK_STATES.filter((state) => countOf(tasks, state) > 0).map((state) => (
          <li key={state}>
            <button type="button" className="quiet" onClick={() => onPick(state)}>
              <StateIcon state={state} />
              {formatCount(countOf(tasks, state))} {STATE_NAMES[state].toLowerCase()}
            </button>
          </li>
        ))}
      </ul>
      {shown ? (
        <TaskDetail task={shown} />
      ) : (
        <p className="muted caption">{captionOf(own !== null, grid)}</p>
      )}
    </div>
  );
}

function captionOf(isEach: boolean, { tasksPerCell, cells }: Grid): string {
  if (cells <= 1) return "";
  if (isEach) return "A square for each task; point at one to read it.";
  return tasksPerCell === 1
    ? "A square for each task, in the order of their states."
    : `A square for ${formatCount(tasksPerCell)} tasks: how many are in each state, not which.`;
}

interface Drawing {
  runs: readonly { state: TaskState; end: number }[];
  grid: Grid;
  width: number;
  picked: number | null;
}

function draw(canvas: HTMLCanvasElement, { runs, grid, width, picked }: Drawing): void {
  const { pitch, columns, rows } = grid;
  const scale = devicePixelRatio;
  canvas.width = width * scale;
  canvas.height = rows * pitch * scale;
  canvas.style.height = `${rows * pitch}px`;
  const context = canvas.getContext("2d")!;
  const style = getComputedStyle(canvas);
  const colours = Object.fromEntries(
    TASK_STATES.map((state) => [state, style.getPropertyValue(`--cell-${state.toLowerCase()}`)]),
  ) as Record<TaskState, string>;
  const side = pitch - (pitch > 6 ? 2 : 1);
  context.scale(scale, scale);
  const place = (cell: number) =>
    [(cell % columns) * pitch, Math.floor(cell / columns) * pitch, side, side] as const;
  let cell = 0;
  for (const { state, end } of runs) {
    context.fillStyle = colours[state];
    for (; cell < end; cell += 1) context.fillRect(...place(cell));
  }
  if (picked === null) return;
  const [x, y] = place(picked);
  context.strokeStyle = style.color;
  context.lineWidth = 2;
  context.strokeRect(x + 1, y + 1, side - 2, side - 2);
}
