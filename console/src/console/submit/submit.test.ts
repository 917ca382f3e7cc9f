import { expect, test } from "vitest";
import { FIRST_DRAFT, inputOf, issueAt, itemsOf } from "./draft";
import { fieldsOf, paramsOf, valuesOf } from "./paramFields";

const SCHEMA = {
  type: "object",
  required: ["pattern"],
  properties: {
    pattern: { type: "string", description: "What is sought." },
    top: { anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }], default: null },
    share: { type: "number", default: 0.5 },
    mode: { $ref: "#/$defs/Mode" },
    exact: { type: "boolean", default: true },
    more: { type: "array", items: { type: "string" } },
  },
  $defs: { Mode: { enum: ["words", "letters"], type: "string" } },
};

test("each parameter has the control of its type", () => {
  const kinds = fieldsOf(SCHEMA).map(({ name, kind }) => [name, kind]);

  expect(kinds).toEqual([
    ["pattern", "text"],
    ["top", "integer"],
    ["share", "number"],
    ["mode", "choice"],
    ["exact", "boolean"],
    ["more", "json"],
  ]);
  expect(fieldsOf(SCHEMA)[1]).toMatchObject({ least: 1, isRequired: false });
});

test("what is left empty is not sent, so that the program's default holds", () => {
  const fields = fieldsOf(SCHEMA);

  expect(paramsOf(fields, {})).toEqual({});
  expect(paramsOf(fields, { pattern: "7", top: "7", exact: true, mode: "" })).toEqual({
    pattern: "7",
    top: 7,
  });
  expect(paramsOf(fields, { exact: false, more: '["a"]' })).toEqual({ exact: false, more: ["a"] });
  expect(() => paramsOf(fields, { more: "[" })).toThrow("more is not JSON");
});

test("parameters of a job fill the form that changes them", () => {
  const fields = fieldsOf(SCHEMA);
  const params = { pattern: "a", top: 3, exact: false, more: ["b"] };

  expect(paramsOf(fields, valuesOf(fields, params))).toEqual({ ...params, share: 0.5 });
});

test("lines are items; JSON objects are rows, if all of them are", () => {
  expect(itemsOf("a\n\n b \n")).toEqual(["a", " b "]);
  expect(itemsOf('{"a": 1}\n{"a": 2}')).toEqual([{ a: 1 }, { a: 2 }]);
  expect(itemsOf('{"a": 1}\n{oh')).toEqual(['{"a": 1}', "{oh"]);
});

test("the first draft is a job", () => {
  expect(inputOf(FIRST_DRAFT, {})).toEqual({
    program: "wordcount",
    params: {},
    source: { inline: ["the quick brown fox", "jumps over the lazy dog", "the end"] },
    partialEveryMs: 500,
  });
});

test("an issue is told at the part of the input that it is about", () => {
  const issues = [{ path: ["input", "params", "top"], message: "too small" }];

  expect(issueAt(issues, "params", "top")).toBe("too small");
  expect(issueAt(issues, "params")).toBe("too small");
  expect(issueAt(issues, "source")).toBeNull();
});
