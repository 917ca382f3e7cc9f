/** Numbers, sizes and times as people read them. */

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const exact = new Intl.NumberFormat(undefined, { maximumFractionDigits: 4 });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const ago = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "narrow" });

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
const AGES: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

export const formatCount = (count: number): string => whole.format(count);
export const formatShort = (count: number): string => short.format(count);
export const formatTime = (iso: string): string => moment.format(new Date(iso));
export const formatPercent = (share: number): string => `${Math.floor(share * 100)} %`;
export const secondsOf = (iso: string): number => Date.parse(iso) / 1000;

export function formatBytes(bytes: number): string {
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  return `${bytes >= 100 || unit === 0 ? Math.round(bytes) : bytes.toFixed(1)} ${UNITS[unit]}`;
}

export function formatDuration(seconds: number): string {
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function formatAge(iso: string, nowS: number): string {
  const age = nowS - secondsOf(iso);
  const [unit, length] = AGES.find(([, length]) => age >= length) ?? ["second", 1];
  return ago.format(-Math.max(0, Math.floor(age / length)), unit);
}

/** A value of a result as one line of text. */
export function formatValue(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return exact.format(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}
