import { expect, test } from "vitest";
import { draftLike, FIRST_DRAFT, inputOf, itemsOf, type Draft } from "./draft";
import { issueAround, issueAt, issuesOf } from "./issues";
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

const FULL: Draft = {
  ...FIRST_DRAFT,
  source: "files",
  uris: "s3://bucket/a/*.csv\n\n /data/b.csv ",
  layout: { "csv.delimiter": "\\t", "csv.header": "off", "csv.columns": "a, b c" },
  options: {
    name: " Counted ",
    tags: "nightly, eu  text",
    "output.format": "CSV",
    "output.uri": "s3://bucket/out/",
    partialEveryMs: "0",
    retentionSeconds: "0.5",
    "failurePolicy.maxAttempts": "5",
    "failurePolicy.toleratedFailurePercentage": "2.5",
    "failurePolicy.badItems": "on",
    "batching.maxBytes": "1.5",
    maxConcurrency: "4",
    webhook: "",
  },
};

test("what was said in options stands where the input has it, in its units", () => {
  expect(inputOf(FULL, {})).toEqual({
    program: "wordcount",
    params: {},
    source: {
      files: {
        uris: ["s3://bucket/a/*.csv", "/data/b.csv"],
        csv: { delimiter: "\t", header: false, columns: ["a", "b c"] },
      },
    },
    name: "Counted",
    tags: ["nightly", "eu", "text"],
    output: { format: "CSV", uri: "s3://bucket/out/" },
    partialEveryMs: 0,
    retentionSeconds: 43_200,
    failurePolicy: { maxAttempts: 5, toleratedFailurePercentage: 2.5, badItems: "SKIP" },
    batching: { maxBytes: 1_572_864 },
    maxConcurrency: 4,
  });
});

test("a job that there was fills the form with what makes it again", () => {
  const spec = inputOf(FULL, {});

  expect(inputOf(draftLike(spec, []), {})).toEqual(spec);
  expect(inputOf(draftLike({ ...inputOf(FIRST_DRAFT, {}), webhook: null }, []), {})).toEqual(
    inputOf(FIRST_DRAFT, {}),
  );
});

test("what does not fit the chosen format is not sent", () => {
  const draft = { ...FULL, layout: { ...FULL.layout, format: "JSON", itemsPointer: "/items" } };

  expect(inputOf(draft, {}).source.files).toMatchObject({ format: "JSON", itemsPointer: "/items" });
  expect(inputOf(draft, {}).source.files).not.toHaveProperty("csv");
});

test("an issue is told at the part of the input that it is about", () => {
  const issues = [{ path: ["input", "params", "top"], message: "too small" }];

  expect(issueAt(issues, "params", "top")).toBe("too small");
  expect(issueAt(issues, "params")).toBe("too small");
  expect(issueAt(issues, "source")).toBeNull();
});

test("the main field of a part also tells what is wrong with the whole of it", () => {
  const issues = [
    { path: ["input", "source"], message: "give one" },
    { path: ["input", "source", "files", "csv", "delimiter"], message: "too long" },
  ];

  expect(issueAround(issues, "source", "files", "uris")).toBe("give one");
  expect(issueAt(issues, "source", "files", "csv", "delimiter")).toBe("too long");
});

test("a source that cannot be read is an issue too", () => {
  const path = ["input", "source", "files", "uris"];

  expect(issuesOf({ path, message: "no such file" })).toEqual([{ path, message: "no such file" }]);
  expect(issuesOf({ path: null, message: "over quota" })).toEqual([]);
});
