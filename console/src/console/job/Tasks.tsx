import { useMemo } from "react";
import type { StatusFragment, TaskFilter } from "../../graphql/generated";
import { Plot } from "../parts/Plot";
import { totalOf } from "./cells";
import type { Rates } from "./rates";
import { TaskGrid } from "./TaskGrid";
import { useTaskStates } from "./useTaskStates";

interface Props {
  id: string;
  status: StatusFragment;
  rates: Rates;
  /** Tasks of some kind and state are to be listed. */
  onPick: (filter: TaskFilter) => void;
}

const GRIDS = [
  { kind: "MAP", label: "Map" },
  { kind: "REDUCE", label: "Reduce" },
] as const;

export function Tasks({ id, status, rates, onPick }: Props) {
  const all = useTaskStates(id, status);
  const each = useMemo(
    () => ({
      MAP: all?.filter(({ kind }) => kind === "MAP") ?? null,
      REDUCE: all?.filter(({ kind }) => kind === "REDUCE") ?? null,
    }),
    [all],
  );
  const counts = { MAP: status.map, REDUCE: status.reduce };
  return (
    <section className="card" aria-labelledby="tasks">
      <h2 id="tasks">Tasks</h2>
      {totalOf(status.map) === 0 && <p className="muted">None yet.</p>}
      {GRIDS.filter(({ kind }) => totalOf(counts[kind]) > 0).map(({ kind, label }) => (
        <TaskGrid
          key={kind}
          label={label}
          tasks={counts[kind]}
          each={each[kind]}
          onPick={(state) => onPick({ kind, state })}
        />
      ))}
      {rates.times.length > 1 && (
        <>
          <h3>Items a second</h3>
          <Plot label="Items a second" x={rates.times} y={rates.items} kind="duration" />
        </>
      )}
    </section>
  );
}
