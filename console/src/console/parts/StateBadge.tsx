import { StateIcon } from "./StateIcon";
import { STATE_NAMES, type AnyState } from "./states";

export function StateBadge({ state }: { state: AnyState }) {
  return (
    <span className={`badge state-${state}`} data-state={state}>
      <StateIcon state={state} />
      {STATE_NAMES[state]}
    </span>
  );
}
