import { expect, test } from "vitest";
import { compareNumbers, isSame, keepDigits, numberOf, parseJson } from "./json";

test("a number is the same however it is written", () => {
  expect(isSame("1.50", "1.5")).toBe(true);
  expect(isSame("1e22", "10000000000000000000000")).toBe(true);
  expect(isSame("0.00120", "1.2e-3")).toBe(true);
  expect(isSame("-0.0", "0")).toBe(true);
});

test("a digit more is another number", () => {
  expect(isSame("9007199254740993", String(9007199254740992))).toBe(false);
  expect(isSame("0.12345678901234567891", "0.12345678901234568")).toBe(false);
  expect(isSame("-1", "1")).toBe(false);
  expect(isSame("10", "1")).toBe(false);
});

test("a browser without the source of numbers reads the nearest double", () => {
  expect(keepDigits("", 9007199254740992)).toBe(9007199254740992);
  expect(numberOf(parseJson("1e400"))).toBe(Infinity);
});

test("numbers have an order, with what is none before them", () => {
  const values = [3, null, -1, 0.5, "a"];

  expect(values.toSorted(compareNumbers)).toEqual([null, "a", -1, 0.5, 3]);
});
