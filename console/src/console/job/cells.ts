/** How tasks are laid out as squares, so many to a square that it stays quick at any number. */

import type { TaskState, TasksFragment } from "../../graphql/generated";

export const TASK_STATES: readonly TaskState[] = ["SUCCEEDED", "FAILED", "RUNNING", "PENDING"];

export interface Grid {
  /** Side of a square with its gap, in CSS pixels. */
  pitch: number;
  columns: number;
  rows: number;
  cells: number;
  tasksPerCell: number;
}

const PITCHES = [16, 13, 10, 8, 6, 5, 4];
const MOST_HEIGHT = 132;

export const countOf = (tasks: TasksFragment, state: TaskState): number =>
  tasks[state.toLowerCase() as Lowercase<TaskState>];

/** Until all tasks are planned, as many as are known. */
export const totalOf = (tasks: TasksFragment): number =>
  tasks.total ?? TASK_STATES.reduce((sum, state) => sum + countOf(tasks, state), 0);

export function gridOf(total: number, width: number): Grid {
  const laidOut = (pitch: number, cells: number) => {
    const columns = Math.max(1, Math.floor(width / pitch));
    return { pitch, columns, rows: Math.ceil(cells / columns), cells };
  };
  for (const pitch of PITCHES) {
    const grid = laidOut(pitch, total);
    if (grid.rows * pitch <= MOST_HEIGHT) return { ...grid, tasksPerCell: 1 };
  }
  const pitch = PITCHES.at(-1)!;
  const room = Math.max(1, Math.floor(width / pitch)) * Math.floor(MOST_HEIGHT / pitch);
  const tasksPerCell = Math.ceil(total / room);
  return { ...laidOut(pitch, Math.ceil(total / tasksPerCell)), tasksPerCell };
}

/** Squares by state, equal ones together; a state with a single task has a square as well. */
export function runsOf(tasks: TasksFragment, grid: Grid): { state: TaskState; end: number }[] {
  const present = TASK_STATES.filter((state) => countOf(tasks, state) > 0);
  let tasksBefore = 0;
  let end = 0;
  return present.map((state, index) => {
    tasksBefore += countOf(tasks, state);
    const room = grid.cells - (present.length - 1 - index);
    end = Math.min(room, Math.max(end + 1, Math.ceil(tasksBefore / grid.tasksPerCell)));
    return { state, end };
  });
}

/** The square at a point of the drawing, in CSS pixels; null beside them. */
export function cellAt({ pitch, columns, cells }: Grid, x: number, y: number): number | null {
  const column = Math.floor(x / pitch);
  const cell = Math.floor(y / pitch) * columns + column;
  return column >= 0 && column < columns && cell >= 0 && cell < cells ? cell : null;
}

/** Squares by the tasks themselves, which are in the order of their indexes. */
export const runsOfEach = (each: readonly { state: TaskState }[]) =>
  each.map(({ state }, index) => ({ state, end: index + 1 }));

export const stateAt = (runs: readonly { state: TaskState; end: number }[], cell: number) =>
  runs.find(({ end }) => cell < end)?.state ?? null;
