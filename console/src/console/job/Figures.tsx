import type { StatusFragment } from "../../graphql/generated";
import { formatBytes, formatCount, formatDuration, formatShort, secondsOf } from "../parts/format";
import { isLive } from "../parts/states";
import { useNow } from "../parts/useNow";

interface Props {
  status: StatusFragment;
  startedAt: string | null;
  finishedAt: string | null;
  /** Items a second at present; null while nobody knows. */
  rate: number | null;
}

export function Figures({ status, startedAt, finishedAt, rate }: Props) {
  const live = isLive(status.state);
  const now = useNow(live);
  const { items, bytesRead, bytesTotal } = status;
  const done = items.succeeded + items.failed + items.skipped;
  const end = live ? now : secondsOf(finishedAt ?? status.updatedAt);
  const took = startedAt ? Math.max(0, end - secondsOf(startedAt)) : null;
  const average = took && done ? done / took : null;
  const speed = live ? (rate ?? average) : average;
  const figures: [string, string, string?][] = [
    ["Items", formatCount(done), items.total === null ? "" : `of ${formatCount(items.total)}`],
    ["Read", formatBytes(bytesRead), bytesTotal ? `of ${formatBytes(bytesTotal)}` : ""],
    [live ? "Speed" : "Mean speed", speed === null ? "–" : formatShort(speed), "items/s"],
    ["Took", took === null ? "–" : formatDuration(took)],
    live
      ? ["Left", status.etaSeconds === null ? "–" : formatDuration(status.etaSeconds)]
      : ["Rows", status.resultRows === null ? "–" : formatCount(status.resultRows)],
  ];
  return (
    <dl className="figures">
      {figures.map(([name, value, more]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {value} {more && <small>{more}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}
