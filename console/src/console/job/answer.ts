/** What of an answer's rows can be drawn, and as what. */

import { isExactNumber, numberOf } from "../../shared/json";
import { formatShortened } from "../parts/format";

export type ResultRow = Record<string, unknown>;

export interface Drawing {
  label: string;
  values: string[];
  /** Whether labels have distances, so that a line through the values means something. */
  isOrdered: boolean;
}

export interface Bar {
  label: string;
  value: number;
  /** The value as text. */
  said: string;
}

const DATE = /^\d{4}-\d{2}(-\d{2})?([T ].*)?$/;

/** Rows as objects; other values become rows of one column. */
export const asRows = (values: readonly unknown[]): ResultRow[] =>
  values.map((value) =>
    value !== null && typeof value === "object" && !Array.isArray(value) && !isExactNumber(value)
      ? (value as ResultRow)
      : { value },
  );

/** Whether all that a column has is numbers. */
export const isNumeric = (rows: readonly ResultRow[], name: string): boolean =>
  rows.every((row) => row[name] == null || numberOf(row[name]) !== null) &&
  rows.some((row) => row[name] != null);

/** Returns null where there is no number to draw. */
export function drawingOf(rows: readonly ResultRow[]): Drawing | null {
  const first = rows[0];
  if (!first) return null;
  const names = Object.keys(first);
  const numeric = names.filter((name) => isNumeric(rows, name));
  const label = names.find((name) => !numeric.includes(name)) ?? numeric[0];
  const values = numeric.filter((name) => name !== label);
  if (label === undefined || values.length === 0) return null;
  return { label, values, isOrdered: rows.every((row) => positionOf(row[label]) !== null) };
}

/** Where a label stands on an axis: itself, or its time in seconds; null if nowhere. */
export function positionOf(label: unknown): number | null {
  if (typeof label !== "string") return numberOf(label);
  if (!DATE.test(label)) return null;
  const ms = Date.parse(label);
  return Number.isNaN(ms) ? null : ms / 1000;
}

/** The longest bars, longest first. */
export function barsOf(
  rows: readonly ResultRow[],
  { label, value, most }: { label: string; value: string; most: number },
): Bar[] {
  return rows
    .map((row) => ({
      label: textOf(row[label]),
      value: numberOf(row[value]) ?? 0,
      said: formatShortened(row[value] ?? 0),
    }))
    .sort((a, b) => b.value - a.value || (a.label < b.label ? -1 : 1))
    .slice(0, most);
}

export function lineOf(
  rows: readonly ResultRow[],
  { label, value }: { label: string; value: string },
): [number[], number[]] {
  const points = rows
    .map((row) => [positionOf(row[label]) ?? 0, numberOf(row[value]) ?? 0] as const)
    .sort(([a], [b]) => a - b);
  return [points.map(([x]) => x), points.map(([, y]) => y)];
}

const textOf = (label: unknown): string =>
  typeof label === "string" ? label : JSON.stringify(label ?? null);
