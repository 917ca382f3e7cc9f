/** Numbers, sizes and times as people read them. */

import { isExactNumber, numberOf } from "../../shared/json";

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const tick = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 2 });
const rounded = new Intl.NumberFormat(undefined, { maximumFractionDigits: 4 });
const exact = new Intl.NumberFormat(undefined, { maximumFractionDigits: 20 });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const ago = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "narrow" });

/** What would lose digits or gain zeros as a number of a language is shown as it came. */
const UNUSUAL = /e|\.\d{21}/i;

/** In characters; every 64-bit integer is shorter. */
const LONGEST = 26;

const UNITS = ["kB", "MB", "GB", "TB"];
const AGES: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

export const formatCount = (count: number): string => whole.format(count);
export const formatShort = (count: number): string => short.format(count);
export const formatTick = (value: number): string => tick.format(value);
export const formatTime = (iso: string): string => moment.format(new Date(iso));
export const formatPercent = (share: number): string => `${Math.floor(share * 100)} %`;
export const secondsOf = (iso: string): number => Date.parse(iso) / 1000;

/** In the units of the command line. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  let unit = 0;
  for (bytes /= 1000; bytes >= 1000 && unit < UNITS.length - 1; bytes /= 1000) unit += 1;
  return `${bytes.toFixed(1)} ${UNITS[unit]}`;
}

export function formatDuration(seconds: number): string {
  const ms = Math.max(0, Math.round(seconds * 1000));
  if (ms < 1000) return ms === 0 ? "0 s" : `${ms} ms`;
  const tenths = Math.round(seconds * 10);
  if (tenths < 100) return `${(tenths / 10).toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min${rest(whole % 60, "s")}`;
  return `${Math.floor(minutes / 60)} h${rest(minutes % 60, "min")}`;
}

const rest = (amount: number, unit: string): string => (amount > 0 ? ` ${amount} ${unit}` : "");

export function formatAge(iso: string, nowS: number): string {
  const age = nowS - secondsOf(iso);
  const [unit, length] = AGES.find(([, length]) => age >= length) ?? ["second", 1];
  return ago.format(-Math.max(0, Math.floor(age / length)), unit);
}

/** A value of a result as one line of text, with all its digits. */
export const formatValue = (value: unknown): string => textOf(value, exact);

/** The same where there is little room: a few digits after the point, and of the largest numbers. */
export function formatShortened(value: unknown): string {
  const text = textOf(value, rounded);
  return text.length > LONGEST ? (numberOf(value)?.toPrecision(5) ?? text) : text;
}

function textOf(value: unknown, format: Intl.NumberFormat): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  const isPlain = (typeof value === "number" || isExactNumber(value)) && !UNUSUAL.test(text);
  // By its text: as a double, its digits would be those of the binary number.
  return isPlain ? format.format(text as Intl.StringNumericLiteral) : text;
}
