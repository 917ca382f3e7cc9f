import { useMemo } from "react";
import { DataTable, type Column } from "../parts/DataTable";
import { formatValue } from "../parts/format";
import type { ResultRow } from "./answer";

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
  const numeric = typeof rows[0]?.[name] === "number";
  const column: Column<ResultRow> = {
    id: name,
    header: () => <span title={type}>{name}</span>,
    accessorFn: (row) => row[name],
    meta: { width: "minmax(8rem, 1fr)", numeric },
    cell: ({ row }) => {
      const text = formatValue(row.original[name]);
      return <span title={text}>{text}</span>;
    },
  };
  return column;
}
