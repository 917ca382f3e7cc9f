import type { ReactNode } from "react";
import type { AnyState } from "./states";

const CHECK = <path d="M4.5 8.4l2.3 2.3 4.7-5" />;
const CROSS = <path d="M5.4 5.4l5.2 5.2m0-5.2l-5.2 5.2" />;
const WAITS = <path d="M5 8h.01M8 8h.01M11 8h.01" />;

// Shapes differ as well as colours, so that nobody needs to tell colours apart.
const SHAPES: Record<AnyState, ReactNode> = {
  QUEUED: WAITS,
  PENDING: WAITS,
  RUNNING: <path d="M8 4.6v3.6l2.4 1.6" />,
  CANCELLING: <path d="M5.2 8h5.6" />,
  SUCCEEDED: CHECK,
  PARTIALLY_SUCCEEDED: <path d="M8 4.6v4.2M8 11.3h.01" />,
  FAILED: CROSS,
  CANCELLED: <path d="M5.2 8h5.6" />,
  TIMED_OUT: <path d="M5.6 4.8h4.8l-4.8 6.4h4.8z" />,
};

export function StateIcon({ state }: { state: AnyState }) {
  return (
    <svg className={`icon state-${state}`} viewBox="0 0 16 16" aria-hidden="true">
      <circle cx="8" cy="8" r="6.6" />
      {SHAPES[state]}
    </svg>
  );
}
