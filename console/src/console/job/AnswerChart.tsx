import { useMemo, useState } from "react";
import { formatCount } from "../parts/format";
import { Plot } from "../parts/Plot";
import { barsOf, drawingOf, lineOf, type ResultRow } from "./answer";
import { Bars } from "./Bars";

const MOST_BARS = 12;

interface Props {
  rows: ResultRow[];
  /** Whether there are rows that are not drawn. */
  areFirst?: boolean;
}

export function AnswerChart({ rows, areFirst = false }: Props) {
  const drawing = useMemo(() => drawingOf(rows), [rows]);
  const [column, setColumn] = useState<string | null>(null);
  const [kind, setKind] = useState<"bars" | "line">("bars");
  if (!drawing) return null;
  const { label, values, isOrdered } = drawing;
  const value = column && values.includes(column) ? column : values[0]!;
  const isLine = isOrdered && kind === "line";
  const said = `${value} by ${label}`;
  return (
    <div className="answer-chart" data-testid="chart">
      <div className="chart-choices">
        {values.length > 1 && (
          <select
            aria-label="Value drawn"
            value={value}
            onChange={(event) => setColumn(event.target.value)}
          >
            {values.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        )}
        {isOrdered && (
          <select
            aria-label="Kind of chart"
            value={kind}
            onChange={(event) => setKind(event.target.value as "bars" | "line")}
          >
            <option value="bars">Bars</option>
            <option value="line">Line</option>
          </select>
        )}
        <span className="muted">
          {said}
          {!isLine && rows.length > MOST_BARS && `, the ${MOST_BARS} largest`}
          {areFirst && ` of the first ${formatCount(rows.length)} rows`}
        </span>
      </div>
      {isLine ? (
        <Line rows={rows} label={label} value={value} said={said} />
      ) : (
        <Bars label={said} bars={barsOf(rows, { label, value, most: MOST_BARS })} />
      )}
    </div>
  );
}

interface LineProps {
  rows: ResultRow[];
  label: string;
  value: string;
  said: string;
}

function Line({ rows, label, value, said }: LineProps) {
  const [x, y] = useMemo(() => lineOf(rows, { label, value }), [rows, label, value]);
  return (
    <Plot
      label={said}
      x={x}
      y={y}
      kind={typeof rows[0]?.[label] === "string" ? "time" : "number"}
      height={240}
    />
  );
}
