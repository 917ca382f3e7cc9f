import type { StatusFragment } from "../../graphql/generated";
import { STATE_NAMES } from "../parts/states";

/** Tells those who listen how far the job is: at each tenth, and at each change of its state. */
export function Announcer({ status }: { status: StatusFragment }) {
  const tenth = status.ratio === null ? null : Math.floor(status.ratio * 10) * 10;
  const progress = status.state === "RUNNING" && tenth !== null ? `, ${tenth} percent` : "";
  return (
    <p className="hidden" role="status">
      Job {STATE_NAMES[status.state].toLowerCase()}
      {progress}
    </p>
  );
}
