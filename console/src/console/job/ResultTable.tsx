import { useMemo } from "react";
import { compareNumbers, isExactNumber, numberOf } from "../../shared/json";
import { DataTable, type Column } from "../parts/DataTable";
import { formatValue } from "../parts/format";
import { isNumeric, type ResultRow } from "./answer";

/** So many rows say how wide a column is at least. */
const MEASURED_ROWS = 200;
/** In characters. Text may be cut off, digits not: the longest integer of DuckDB has so many. */
const WIDEST = { text: 16, number: 52 };
const SORT_MARK = 2;

interface Props {
  columns: { name: string; type: string }[];
  rows: ResultRow[];
  total: number;
  onEnd: () => void;
}

export function ResultTable({ columns, rows, total, onEnd }: Props) {
  const shown = useMemo(() => columns.map((column) => columnOf(column, rows)), [columns, rows]);
  return (
    <DataTable
      label="Result"
      columns={shown}
      rows={rows}
      keyOf={(_, index) => String(index)}
      total={total}
      sortable={rows.length >= total}
      onEnd={onEnd}
    />
  );
}

function columnOf({ name, type }: { name: string; type: string }, rows: ResultRow[]) {
  const numeric = isNumeric(rows, name);
  const most = numeric ? WIDEST.number : WIDEST.text;
  const column: Column<ResultRow> = {
    id: name,
    header: () => <span title={type}>{name}</span>,
    accessorFn: (row) => (isExactNumber(row[name]) ? numberOf(row[name]) : row[name]),
    meta: { width: `minmax(${Math.min(widestOf(rows, name), most)}ch, 1fr)`, numeric },
    cell: ({ row }) => {
      const text = formatValue(row.original[name]);
      return <span title={text}>{text}</span>;
    },
  };
  if (numeric) column.sortFn = (a, b) => compareNumbers(a.original[name], b.original[name]);
  return column;
}

/** In characters. */
function widestOf(rows: readonly ResultRow[], name: string): number {
  const lengths = rows.slice(0, MEASURED_ROWS).map((row) => formatValue(row[name]).length);
  return Math.max(name.length + SORT_MARK, ...lengths);
}
