import type { JobPhase, StatusFragment, TasksFragment, TaskState } from "../../graphql/generated";
import { formatCount } from "../parts/format";
import { Progress } from "../parts/Progress";
import { StateIcon } from "../parts/StateIcon";
import { isLive } from "../parts/states";
import { totalOf } from "./cells";

const ORDER: readonly JobPhase[] = ["PENDING", "PLAN", "MAP", "REDUCE", "FINISH", "DONE"];
const SHOWN = [
  { phase: "PLAN", name: "Plan" },
  { phase: "MAP", name: "Map" },
  { phase: "REDUCE", name: "Reduce" },
  { phase: "FINISH", name: "Finish" },
] as const;

export function Phases({ status }: { status: StatusFragment }) {
  const present = ORDER.indexOf(status.phase);
  return (
    <ol className="phases" aria-label="Phases">
      {SHOWN.map(({ phase, name }) => {
        const state = isLive(status.state)
          ? stateOf(ORDER.indexOf(phase), present)
          : endedStateOf(phase, status);
        const [ratio, said] = figuresOf(phase, status);
        const isPresent = state === "RUNNING";
        return (
          <li key={phase} aria-current={isPresent ? "step" : undefined}>
            <div className="with-figure">
              <StateIcon state={state} />
              <strong>{name}</strong>
              <span className="muted">{said}</span>
            </div>
            <Progress
              label={name}
              state={state}
              ratio={state === "SUCCEEDED" ? 1 : isPresent ? ratio : (ratio ?? 0)}
            />
          </li>
        );
      })}
    </ol>
  );
}

function stateOf(phase: number, present: number): TaskState {
  if (phase < present) return "SUCCEEDED";
  return phase === present ? "RUNNING" : "PENDING";
}

/** How a phase stood when the job ended, which its counts tell. */
function endedStateOf(phase: JobPhase, { state, map, reduce }: StatusFragment): TaskState {
  const isWhole = ({ total, succeeded }: TasksFragment) => total !== null && succeeded >= total;
  if (state === "SUCCEEDED" || state === "PARTIALLY_SUCCEEDED") return "SUCCEEDED";
  const steps = {
    PLAN: [map.total !== null],
    MAP: [map.total !== null, isWhole(map)],
    REDUCE: [isWhole(map), isWhole(reduce)],
    FINISH: [isWhole(map) && isWhole(reduce), false],
  }[phase as (typeof SHOWN)[number]["phase"]];
  if (steps.every(Boolean)) return "SUCCEEDED";
  return steps.length === 1 || steps[0] ? "FAILED" : "PENDING";
}

function figuresOf(phase: JobPhase, status: StatusFragment): [number | null, string] {
  if (phase !== "MAP" && phase !== "REDUCE") return [null, ""];
  const tasks = phase === "MAP" ? status.map : status.reduce;
  if (tasks.total === 0) return [null, "none"];
  const total = totalOf(tasks);
  const open = tasks.total === null ? "+" : "";
  const said = total ? `${formatCount(tasks.succeeded)} of ${formatCount(total)}${open}` : "";
  return [total ? tasks.succeeded / total : null, said];
}
