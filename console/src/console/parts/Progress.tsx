import type { AnyState } from "./states";

interface Props {
  label: string;
  /** 0 to 1; null while it is unknown. */
  ratio: number | null;
  state: AnyState;
}

export function Progress({ label, ratio, state }: Props) {
  const known = ratio === null ? {} : { "aria-valuenow": Math.round(ratio * 100) };
  return (
    <div
      className={`progress state-${state}${ratio === null ? " unknown" : ""}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      {...known}
    >
      <div style={{ transform: `scaleX(${ratio ?? 1})` }} />
    </div>
  );
}
