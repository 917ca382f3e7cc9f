/** A job that is being written, and the input that it makes. */

import type { DataFormat, SourceInput, SubmitJobInput } from "../../graphql/generated";
import { fieldsOf, paramsOf, type Values } from "./paramFields";

export interface Draft {
  kind: "program" | "sql";
  program: string;
  values: Values;
  sql: string;
  sqlParams: string;
  source: "inline" | "files" | "upload" | "job";
  inline: string;
  uris: string;
  format: DataFormat;
  upload: { id: string; name: string } | null;
  job: string;
  name: string;
  tags: string;
  tolerated: string;
  skipsBadItems: boolean;
  batchItems: string;
  maxConcurrency: string;
  output: DataFormat;
}

export type Issues = { path: string[]; message: string }[];

/** How often the answer so far is asked for. */
const PARTIAL_EVERY_MS = 500;

export const FIRST_DRAFT: Draft = {
  kind: "program",
  program: "wordcount",
  values: {},
  sql: "SELECT line, count(*) AS times\nFROM input\nGROUP BY line\nORDER BY times DESC",
  sqlParams: "{}",
  source: "inline",
  inline: "the quick brown fox\njumps over the lazy dog\nthe end",
  uris: "",
  format: "AUTO",
  upload: null,
  job: "",
  name: "",
  tags: "",
  tolerated: "",
  skipsBadItems: false,
  batchItems: "",
  maxConcurrency: "",
  output: "JSONL",
};

export const linesOf = (text: string): string[] =>
  text.split("\n").filter((line) => line.trim() !== "");

/** Lines as items; as rows, if each of them is a JSON object. */
export function itemsOf(text: string): unknown[] {
  const lines = linesOf(text);
  if (lines.length === 0 || !lines.every((line) => line.trim().startsWith("{"))) return lines;
  try {
    return lines.map((line) => JSON.parse(line) as unknown);
  } catch {
    return lines;
  }
}

/** Throws an error for what cannot be sent at all; all else is for the service to judge. */
export function inputOf(draft: Draft, paramsSchema: unknown): SubmitJobInput {
  const tolerated = numberOf(draft.tolerated);
  const batchItems = numberOf(draft.batchItems);
  const maxConcurrency = numberOf(draft.maxConcurrency);
  const tags = draft.tags.split(/[\s,]+/).filter(Boolean);
  return {
    ...workOf(draft, paramsSchema),
    source: sourceOf(draft),
    partialEveryMs: PARTIAL_EVERY_MS,
    ...(draft.name.trim() && { name: draft.name.trim() }),
    ...(tags.length > 0 && { tags }),
    ...((tolerated !== null || draft.skipsBadItems) && {
      failurePolicy: {
        ...(tolerated !== null && { toleratedFailureCount: tolerated }),
        ...(draft.skipsBadItems && { badItems: "SKIP" as const }),
      },
    }),
    ...(batchItems !== null && { batching: { maxItems: batchItems } }),
    ...(maxConcurrency !== null && { maxConcurrency }),
    ...(draft.output !== "JSONL" && { output: { format: draft.output } }),
  };
}

/** What is wrong at a place of the input, such as "params", "top". */
export function issueAt(issues: Issues, ...path: string[]): string | null {
  const found = issues.filter((issue) => path.every((part, at) => issue.path[at + 1] === part));
  return found.map(({ message }) => message).join("; ") || null;
}

function workOf(draft: Draft, paramsSchema: unknown) {
  if (draft.kind === "program") {
    return { program: draft.program, params: paramsOf(fieldsOf(paramsSchema), draft.values) };
  }
  try {
    return { sql: draft.sql, params: JSON.parse(draft.sqlParams || "{}") as unknown };
  } catch {
    throw new Error("The parameters are not JSON.");
  }
}

function sourceOf(draft: Draft): SourceInput {
  switch (draft.source) {
    case "inline":
      return { inline: itemsOf(draft.inline) };
    case "files":
      return {
        files: { uris: linesOf(draft.uris).map((uri) => uri.trim()), format: draft.format },
      };
    case "upload":
      if (!draft.upload) throw new Error("Choose a file to send.");
      return { upload: { id: draft.upload.id, format: draft.format } };
    case "job":
      return { job: draft.job.trim() };
  }
}

const numberOf = (text: string): number | null =>
  text.trim() === "" || Number.isNaN(Number(text)) ? null : Number(text);
