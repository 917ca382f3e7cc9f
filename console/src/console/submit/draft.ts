/** A job that is being written, and the input that it makes. */

import type { SourceInput, SubmitJobInput } from "../../graphql/generated";
import { parseJson } from "../../shared/json";
import {
  inputOfOptions,
  kindOptions,
  layoutOptions,
  MORE,
  NAMING,
  valuesOfOptions,
  type OptionValues,
} from "./options";
import { fieldsOf, paramsOf, valuesOf, type ParamField, type Values } from "./paramFields";

export type SourceKind = "inline" | "files" | "upload" | "job";

export interface Draft {
  kind: "program" | "sql";
  program: string;
  values: Values;
  sql: string;
  sqlParams: string;
  source: SourceKind;
  inline: string;
  uris: string;
  upload: { id: string; name: string } | null;
  job: string;
  layout: OptionValues;
  options: OptionValues;
}

export const OPTIONS = [...NAMING, ...Object.values(MORE).flat()];

export const FIRST_DRAFT: Draft = {
  kind: "program",
  program: "wordcount",
  values: {},
  sql: "SELECT line, count(*) AS times\nFROM input\nGROUP BY line\nORDER BY times DESC",
  sqlParams: "{}",
  source: "inline",
  inline: "the quick brown fox\njumps over the lazy dog\nthe end",
  uris: "",
  upload: null,
  job: "",
  layout: {},
  options: {},
};

export const linesOf = (text: string): string[] =>
  text.split("\n").filter((line) => line.trim() !== "");

export const formatOf = (draft: Draft): string => draft.layout.format ?? "AUTO";

/** Lines as items; as rows, if each of them is a JSON object. */
export function itemsOf(text: string): unknown[] {
  const lines = linesOf(text);
  if (lines.length === 0 || !lines.every((line) => line.trim().startsWith("{"))) return lines;
  try {
    return lines.map(parseJson);
  } catch {
    return lines;
  }
}

/** Throws an error for what cannot be sent at all; all else is for the service to judge. */
export const inputOf = (draft: Draft, paramsSchema: unknown): SubmitJobInput => ({
  ...workOf(draft, paramsSchema),
  source: sourceOf(draft),
  ...inputOfOptions(OPTIONS, draft.options),
});

/** A draft that makes the same job again; an upload may be gone, so it is to be sent anew. */
export function draftLike(accepted: unknown, fields: ParamField[]): Draft {
  const spec = accepted as SubmitJobInput;
  const params = (spec.params ?? {}) as Record<string, unknown>;
  const { inline, files, upload, job } = spec.source as unknown as Record<SourceKind, unknown> & {
    inline: unknown[] | null;
    files: { uris: string[] } | null;
    job: string | null;
  };
  return {
    ...FIRST_DRAFT,
    ...(spec.program
      ? { kind: "program", program: spec.program, values: valuesOf(fields, params) }
      : { kind: "sql", sql: spec.sql ?? "", sqlParams: JSON.stringify(params, null, 2) }),
    source: upload ? "upload" : job ? "job" : files ? "files" : "inline",
    inline: (inline ?? []).map(lineOf).join("\n"),
    uris: files?.uris.join("\n") ?? "",
    job: job ?? "",
    layout: valuesOfOptions([...kindOptions("files"), ...layoutOptions("AUTO")], files ?? upload),
    options: valuesOfOptions(OPTIONS, spec),
  };
}

const lineOf = (item: unknown): string => (typeof item === "string" ? item : JSON.stringify(item));

function workOf(draft: Draft, paramsSchema: unknown) {
  if (draft.kind === "program") {
    return { program: draft.program, params: paramsOf(fieldsOf(paramsSchema), draft.values) };
  }
  try {
    return { sql: draft.sql, params: parseJson(draft.sqlParams || "{}") };
  } catch {
    throw new Error("The parameters are not JSON.");
  }
}

function sourceOf(draft: Draft): SourceInput {
  const { source, upload } = draft;
  if (source === "inline") return { inline: itemsOf(draft.inline) };
  if (source === "job") {
    if (!draft.job.trim()) throw new Error("Name the job whose result is the input.");
    return { job: draft.job.trim() };
  }
  const options = [...kindOptions(source), ...layoutOptions(formatOf(draft))];
  const layout = inputOfOptions(options, draft.layout);
  if (source === "files") {
    const uris = linesOf(draft.uris).map((uri) => uri.trim());
    if (uris.length === 0) throw new Error("Give the address of a file.");
    return { files: { uris, ...layout } };
  }
  if (!upload) throw new Error("Choose a file to send.");
  return { upload: { id: upload.id, ...layout } };
}
