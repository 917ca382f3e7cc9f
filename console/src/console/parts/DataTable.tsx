/** A table of any length: only the rows in view exist, and more are loaded at its end. */

import {
  createSortedRowModel,
  rowSortingFeature,
  sortFn_alphanumeric,
  tableFeatures,
  useTable,
  type ColumnDef,
} from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";
import { SortMark } from "./SortMark";

export const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { alphanumeric: sortFn_alphanumeric },
});

export type Column<Row extends object> = ColumnDef<typeof features, Row> & {
  meta?: {
    /** A track of CSS grid; 1fr by default. */
    width?: string;
    /** Left out on phones. */
    wide?: boolean;
    numeric?: boolean;
  };
};

interface Props<Row extends object> {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  keyOf: (row: Row, index: number) => string;
  /** How many there are, loaded or not. */
  total?: number;
  rowHeight?: number;
  sortable?: boolean;
  onEnd?: (() => void) | undefined;
}

export function DataTable<Row extends object>(props: Props<Row>) {
  const { label, columns, rows, keyOf, total, rowHeight = 36, sortable = false, onEnd } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const table = useTable({
    features,
    columns,
    data: rows,
    getRowId: keyOf,
    enableSorting: sortable,
  });
  const shown = table.getRowModel().rows;
  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const isAtEnd = (items.at(-1)?.index ?? -1) >= shown.length - 1;
  useEffect(() => {
    if (isAtEnd) onEnd?.();
  }, [isAtEnd, shown.length, onEnd]);

  const metas = columns.map((column) => column.meta ?? {});
  const tracks = (some: typeof metas) => some.map(({ width = "1fr" }) => width).join(" ");
  const layout = {
    "--tracks": tracks(metas),
    "--tracks-narrow": tracks(metas.filter(({ wide }) => !wide)),
    "--row-height": `${rowHeight}px`,
  } as React.CSSProperties;
  const classOf = (index: number) =>
    [metas[index]?.wide && "wide", metas[index]?.numeric && "numeric"].filter(Boolean).join(" ");

  return (
    <div className="table-scroller" ref={scroller} tabIndex={0} role="group" aria-label={label}>
      <div
        className="table"
        role="table"
        aria-label={label}
        aria-rowcount={(total ?? shown.length) + 1}
        style={layout}
      >
        <div role="rowgroup" className="table-head">
          {table.getHeaderGroups().map((group) => (
            <div role="row" className="table-row" aria-rowindex={1} key={group.id}>
              {group.headers.map((header, index) => (
                <div
                  role="columnheader"
                  className={classOf(index)}
                  key={header.id}
                  aria-sort={ARIA_SORT[header.column.getIsSorted() || "none"]}
                >
                  {sortable ? (
                    <button type="button" onClick={header.column.getToggleSortingHandler()}>
                      <table.FlexRender header={header} />
                      <SortMark direction={header.column.getIsSorted()} />
                    </button>
                  ) : (
                    <table.FlexRender header={header} />
                  )}
                </div>
              ))}
            </div>
          ))}
        </div>
        <div role="rowgroup" className="table-body" style={{ height: virtual.getTotalSize() }}>
          {items.map(({ index, start }) => {
            const row = shown[index]!;
            return (
              <div
                role="row"
                className="table-row"
                aria-rowindex={index + 2}
                key={row.id}
                style={{ transform: `translateY(${start}px)` }}
              >
                {row.getAllCells().map((cell, column) => (
                  <div role="cell" className={classOf(column)} key={cell.id}>
                    <table.FlexRender cell={cell} />
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

const ARIA_SORT = { none: "none", asc: "ascending", desc: "descending" } as const;
