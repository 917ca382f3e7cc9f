/** What may be said of a job beyond its work and its source, and the part of the input that it makes. */

interface Common {
  /** Where it stands in the input, or in the source: so it is also where its problems are told. */
  path: readonly string[];
  label: string;
  hint?: string;
}

export type Option = Common &
  (
    | { kind: "text" | "character"; placeholder?: string }
    /** Parts between commas or spaces. */
    | { kind: "words" | "names"; placeholder?: string }
    /** `factor`: how many of the input's unit one of the form's is. */
    | {
        kind: "number";
        placeholder?: string;
        least?: number;
        most?: number;
        isWhole?: boolean;
        factor?: number;
        initial?: number;
      }
    | { kind: "switch"; isOn: boolean; sent: unknown }
    /** The first is the service's own choice, which is not sent. */
    | { kind: "choice"; choices: Record<string, string> }
  );

/** What was typed or pressed, by the option's path. */
export type OptionValues = Readonly<Record<string, string>>;

export const ON = "on";
export const OFF = "off";

const MEBIBYTE = 2 ** 20;
const DAY_S = 86_400;
/** How often the answer so far is asked for. */
const PARTIAL_EVERY_MS = 500;

const whole = (least: number, placeholder: string) =>
  ({ kind: "number", isWhole: true, least, placeholder }) as const;
const seconds = (placeholder: string) => ({ kind: "number", least: 0, placeholder }) as const;

const TAGS: Option = { path: ["tags"], label: "Tags", kind: "words", placeholder: "nightly, eu" };

export const NAMING: readonly Option[] = [
  { path: ["name"], label: "Name", kind: "text", placeholder: "as the program" },
  TAGS,
];

export const MORE: Readonly<Record<string, readonly Option[]>> = {
  Result: [
    {
      path: ["output", "format"],
      label: "Result format",
      kind: "choice",
      choices: { JSONL: "JSON lines", CSV: "CSV", PARQUET: "Parquet" },
    },
    {
      path: ["output", "uri"],
      label: "Copied to",
      hint: "s3://bucket/prefix/ or a folder below an output root.",
      kind: "text",
      placeholder: "kept by the service",
    },
    {
      path: ["partialEveryMs"],
      label: "Answer so far every (ms)",
      hint: "0 turns it off.",
      ...whole(0, String(PARTIAL_EVERY_MS)),
      initial: PARTIAL_EVERY_MS,
    },
    {
      path: ["retentionSeconds"],
      label: "Kept for (days)",
      kind: "number",
      least: 0,
      placeholder: "the service's default",
      factor: DAY_S,
    },
    {
      path: ["webhook"],
      label: "Webhook",
      hint: "Told when the job has ended.",
      kind: "text",
      placeholder: "https://…",
    },
  ],
  Failures: [
    { path: ["failurePolicy", "maxAttempts"], label: "Tries of a task", ...whole(1, "3") },
    {
      path: ["failurePolicy", "backoffMs"],
      label: "Wait between tries (ms)",
      ...whole(0, "500"),
    },
    {
      path: ["failurePolicy", "toleratedFailureCount"],
      label: "Failed items tolerated",
      ...whole(0, "0"),
    },
    {
      path: ["failurePolicy", "toleratedFailurePercentage"],
      label: "Failed items tolerated (%)",
      kind: "number",
      least: 0,
      most: 100,
      placeholder: "0",
    },
    {
      path: ["failurePolicy", "badItems"],
      label: "Set bad items aside",
      hint: "Go on with the rest of their batch.",
      kind: "switch",
      isOn: false,
      sent: "SKIP",
    },
  ],
  Tasks: [
    { path: ["batching", "maxItems"], label: "Items in a batch", ...whole(1, "chosen by size") },
    {
      path: ["batching", "maxBytes"],
      label: "Size of a batch (MiB)",
      kind: "number",
      least: 0,
      placeholder: "chosen by size",
      factor: MEBIBYTE,
    },
    { path: ["maxConcurrency"], label: "Map tasks at once", ...whole(1, "as many as workers") },
    { path: ["reducers"], label: "Reduce tasks", ...whole(1, "chosen by size") },
    {
      path: ["failurePolicy", "taskTimeoutSeconds"],
      label: "Time for a task (s)",
      ...seconds("no limit"),
    },
    { path: ["timeoutSeconds"], label: "Time for the job (s)", ...seconds("no limit") },
  ],
};

const FORMAT: Option = {
  path: ["format"],
  label: "Format",
  kind: "choice",
  choices: {
    AUTO: "Automatic",
    TEXT: "Lines of text",
    CSV: "CSV",
    JSON: "JSON",
    JSONL: "JSON lines",
    PARQUET: "Parquet",
  },
};
const MODE: Option = {
  path: ["mode"],
  label: "Items are",
  kind: "choice",
  choices: {
    RECORDS: "records of the files",
    OBJECTS: "the files themselves",
    MANIFEST: "records of files in manifests",
  },
};
const CSV: readonly Option[] = [
  {
    path: ["csv", "delimiter"],
    label: "Delimiter",
    hint: "One character; \\t is a tab.",
    kind: "character",
    placeholder: ",",
  },
  {
    path: ["csv", "columns"],
    label: "Column names",
    hint: "Separated by commas, for files without a header.",
    kind: "names",
    placeholder: "from the header",
  },
  {
    path: ["csv", "header"],
    label: "First row is a header",
    kind: "switch",
    isOn: true,
    sent: false,
  },
];
const POINTER: Option = {
  path: ["itemsPointer"],
  label: "Where the items are",
  hint: "JSON Pointer to the array in the document.",
  kind: "text",
  placeholder: "/data/items",
};

/** What kind of files there are, and what of them are the items. */
export const kindOptions = (source: "files" | "upload"): readonly Option[] =>
  source === "files" ? [FORMAT, MODE] : [FORMAT];

/** How their records are laid out, as far as it matters to the chosen format. */
export function layoutOptions(format: string): readonly Option[] {
  const isMaybe = (name: string) => format === name || format === "AUTO";
  return [...(isMaybe("CSV") ? CSV : []), ...(isMaybe("JSON") ? [POINTER] : [])];
}

/** What `updateJob` takes, which stands elsewhere in its input. */
export const UPDATABLE: readonly Option[] = [
  { path: ["maxConcurrency"], label: "Map tasks at once", ...whole(1, "as many as workers") },
  TAGS,
  { path: ["toleratedFailureCount"], label: "Failed items tolerated", ...whole(0, "0") },
  {
    path: ["toleratedFailurePercentage"],
    label: "Failed items tolerated (%)",
    kind: "number",
    least: 0,
    most: 100,
    placeholder: "0",
  },
];

export const keyOf = ({ path }: Option): string => path.join(".");

/** What was said, as part of the input; what was left empty is not in it. */
export function inputOfOptions(options: readonly Option[], values: OptionValues) {
  const input: Record<string, unknown> = {};
  for (const option of options) {
    const value = valueOf(option, values[keyOf(option)] ?? "");
    if (value === undefined) continue;
    const parents = option.path.slice(0, -1);
    const place = parents.reduce((parent, name) => {
      parent[name] ??= {};
      return parent[name] as Record<string, unknown>;
    }, input);
    place[option.path.at(-1)!] = value;
  }
  return input;
}

/** The other way round: what would have to be typed to make `input`. */
export function valuesOfOptions(options: readonly Option[], input: unknown): OptionValues {
  const entries = options.flatMap((option) => {
    const value = option.path.reduce<unknown>(
      (parent, name) => (parent as Record<string, unknown> | null | undefined)?.[name],
      input,
    );
    return value === null || value === undefined ? [] : [[keyOf(option), textOf(option, value)]];
  });
  return Object.fromEntries(entries) as OptionValues;
}

function valueOf(option: Option, text: string): unknown {
  switch (option.kind) {
    case "switch":
      return text === "" || (text === ON) === option.isOn ? undefined : option.sent;
    case "choice":
      return text === "" || text === Object.keys(option.choices)[0] ? undefined : text;
    case "character":
      return text === "\\t" ? "\t" : text || undefined;
    case "words":
    case "names": {
      const parts = text.split(option.kind === "words" ? /[\s,]+/ : ",").map((one) => one.trim());
      const named = parts.filter(Boolean);
      return named.length > 0 ? named : undefined;
    }
    case "number": {
      if (text.trim() === "" || Number.isNaN(Number(text))) return option.initial;
      const number = Number(text) * (option.factor ?? 1);
      return option.factor ? Math.round(number) : number;
    }
    case "text":
      return text.trim() || undefined;
  }
}

function textOf(option: Option, value: unknown): string {
  switch (option.kind) {
    case "switch":
      return (value === option.sent) === option.isOn ? OFF : ON;
    case "character":
      return value === "\t" ? "\\t" : String(value);
    case "words":
    case "names":
      return (value as string[]).join(", ");
    case "number":
      return String(Number(value) / (option.factor ?? 1));
    default:
      return String(value);
  }
}
