import { useEffect, useRef } from "react";
import type { TasksFragment, TaskState } from "../../graphql/generated";
import { formatCount } from "../parts/format";
import { StateIcon } from "../parts/StateIcon";
import { STATE_NAMES } from "../parts/states";
import { useWidth } from "../parts/useWidth";
import { useTheme } from "../theme";
import { countOf, gridOf, runsOf, TASK_STATES, totalOf } from "./cells";

interface Props {
  label: string;
  tasks: TasksFragment;
  onPick: (state: TaskState) => void;
}

/** Every task as a square, by its state; drawn from counts, so 100,000 cost what 100 do. */
export function TaskGrid({ label, tasks, onPick }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [frame, width] = useWidth<HTMLDivElement>();
  const theme = useTheme();
  const total = totalOf(tasks);
  const grid = gridOf(total, width);
  const said = TASK_STATES.map((state) => `${countOf(tasks, state)} ${STATE_NAMES[state]}`);

  useEffect(() => {
    const element = canvas.current;
    if (element && width > 0) draw(element, tasks, width);
  }, [tasks, width, theme]);

  return (
    <div className="task-grid" ref={frame}>
      <div className="with-figure">
        <h3>{label}</h3>
        <span className="muted">
          {formatCount(total)} {total === 1 ? "task" : "tasks"}
          {grid.tasksPerCell > 1 && `, ${formatCount(grid.tasksPerCell)} to a square`}
          {tasks.retried > 0 && `, ${formatCount(tasks.retried)} tried again`}
        </span>
      </div>
      <canvas ref={canvas} role="img" aria-label={`${label}: ${said.join(", ")}`} />
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
    </div>
  );
}

function draw(canvas: HTMLCanvasElement, tasks: TasksFragment, width: number): void {
  const { pitch, columns, rows, ...rest } = gridOf(totalOf(tasks), width);
  const grid = { pitch, columns, rows, ...rest };
  const scale = devicePixelRatio;
  canvas.width = width * scale;
  canvas.height = rows * pitch * scale;
  canvas.style.height = `${rows * pitch}px`;
  const context = canvas.getContext("2d")!;
  const style = getComputedStyle(canvas);
  const side = pitch - (pitch > 6 ? 2 : 1);
  context.scale(scale, scale);
  let cell = 0;
  for (const { state, end } of runsOf(tasks, grid)) {
    context.fillStyle = style.getPropertyValue(`--cell-${state.toLowerCase()}`);
    for (; cell < end; cell += 1) {
      context.fillRect((cell % columns) * pitch, Math.floor(cell / columns) * pitch, side, side);
    }
  }
}
