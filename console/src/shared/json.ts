/**
 * JSON whose numbers keep all their digits: one that a double would change is read as JSON text, which
 * `JSON.stringify` writes as it was. A browser that cannot do so (before Chromium 114, Firefox 135 and
 * Safari 18.4) reads the nearest double.
 *
 * Source: JSON.parse source text access, https://tc39.es/proposal-json-parse-with-source/.
 */

/** A number that is no double, by its digits. */
export interface ExactNumber {
  readonly rawJSON: string;
}

interface SourceAccess {
  rawJSON?: (text: string) => ExactNumber;
  isRawJSON?: (value: unknown) => boolean;
}

const { rawJSON, isRawJSON } = JSON as SourceAccess;

/** Any number of up to 15 digits is a double, unless its exponent is large. */
const MAYBE_EXACT = /\d[\d.]{15}|\de[+-]?\d{3}/i;
const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i;

/** Throws a SyntaxError for what is no JSON. */
export const parseJson = (text: string): unknown =>
  JSON.parse(text, MAYBE_EXACT.test(text) ? keepDigits : undefined);

/** What keeps digits where others call `JSON.parse`. */
export function keepDigits(_: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== "number" || !source || !rawJSON) return value;
  const isKept = Number.isFinite(value) && isSame(source, String(value));
  return isKept ? value : rawJSON(source);
}

export const isExactNumber = (value: unknown): value is ExactNumber => isRawJSON?.(value) ?? false;

/** The double that is nearest to a number; null for what is none. */
export function numberOf(value: unknown): number | null {
  if (typeof value === "number") return value;
  return isExactNumber(value) ? Number(value.rawJSON) : null;
}

/** In the order of numbers, also of those with the same nearest double; what is none comes first. */
export function compareNumbers(a: unknown, b: unknown): number {
  const x = numberOf(a) ?? -Infinity;
  const y = numberOf(b) ?? -Infinity;
  if (x !== y) return x < y ? -1 : 1;
  if (x === 0 || !Number.isFinite(x)) return 0;
  const [left, right] = [decimalOf(JSON.stringify(a)), decimalOf(JSON.stringify(b))];
  const power = Math.min(left.power, right.power);
  const [m, n] = [left, right].map((one) => one.digits * 10n ** BigInt(one.power - power));
  return m === n ? 0 : m! < n! ? -1 : 1;
}

/** Whether two texts are the same number, however they are written; of finite numbers. */
export function isSame(a: string, b: string): boolean {
  if (a === b) return true;
  const [left, right] = [decimalOf(a), decimalOf(b)];
  return left.digits === right.digits && (left.power === right.power || left.digits === 0n);
}

/** A number as digits without zeros at the end, and the power of ten of the last of them. */
function decimalOf(text: string): { digits: bigint; power: number } {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = NUMBER.exec(text) ?? [];
  const digits = (whole + fraction).replace(/0+$/, "");
  const zeros = whole.length + fraction.length - digits.length;
  return {
    digits: BigInt(`${sign}${digits || 0}`),
    power: Number(exponent) - fraction.length + zeros,
  };
}
