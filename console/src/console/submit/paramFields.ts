/** A form's fields from the JSON Schema of a program's parameters, and parameters from the form. */

import { parseJson } from "../../shared/json";

export interface ParamField {
  name: string;
  kind: "text" | "number" | "integer" | "boolean" | "choice" | "json";
  description: string | null;
  isRequired: boolean;
  choices: string[];
  initial: unknown;
  least?: number | undefined;
  most?: number | undefined;
}

/** What was typed, by name; "" is left out, so that the program's own default holds. */
export type Values = Record<string, string | boolean>;

interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string;
  description?: string;
  default?: unknown;
  properties?: Record<string, Schema>;
  required?: string[];
  anyOf?: Schema[];
  allOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  minimum?: number;
  maximum?: number;
}

type Shape = Pick<ParamField, "kind" | "choices" | "least" | "most">;

const KINDS: Record<string, ParamField["kind"]> = {
  string: "text",
  integer: "integer",
  number: "number",
  boolean: "boolean",
};

export function fieldsOf(schema: unknown): ParamField[] {
  const root = schema as Schema;
  const model = resolved(root, root);
  const required = model.required ?? [];
  return Object.entries(model.properties ?? {}).map(([name, property]) => {
    const { kind, choices, ...rest } = shapeOf(property, root);
    return {
      name,
      kind,
      choices,
      description: property.description ?? null,
      isRequired: required.includes(name),
      initial: property.default,
      ...rest,
    };
  });
}

export function valuesOf(fields: ParamField[], params: Record<string, unknown>): Values {
  return Object.fromEntries(
    fields.map(({ name, kind, initial }): [string, string | boolean] => {
      const value = params[name] ?? initial ?? null;
      if (kind === "boolean") return [name, value === true];
      if (value === null) return [name, ""];
      return [name, kind === "json" ? JSON.stringify(value) : textOf(value)];
    }),
  );
}

/** Throws an error for what is no JSON; all else is for the service to judge. */
export function paramsOf(fields: ParamField[], values: Values): Record<string, unknown> {
  const params: Record<string, unknown> = {};
  for (const { name, kind, initial } of fields) {
    const value = values[name];
    if (value === undefined || value === "") continue;
    if (kind === "boolean") {
      if (value !== (initial ?? false)) params[name] = value;
    } else {
      params[name] = parsed(name, kind, String(value));
    }
  }
  return params;
}

function parsed(name: string, kind: ParamField["kind"], text: string): unknown {
  if (kind === "text" || kind === "choice") return text;
  const isNumber = kind !== "json";
  if (isNumber && Number.isNaN(Number(text))) return text;
  try {
    return parseJson(text);
  } catch {
    if (isNumber) return Number(text); // such as ".5"
    throw new Error(`${name} is not JSON`);
  }
}

/** A value as it is typed. */
export const textOf = (value: unknown): string =>
  typeof value === "string" ? value : JSON.stringify(value);

function shapeOf(property: Schema, root: Schema): Shape {
  const variants = property.anyOf ?? property.allOf ?? [property];
  const others = variants.map((one) => resolved(one, root)).filter(({ type }) => type !== "null");
  const only = others[0];
  if (others.length !== 1 || !only) return { kind: "json", choices: [] };
  const choices = only.enum ?? (only.const === undefined ? [] : [only.const]);
  const isChoice = (choice: unknown): choice is string => typeof choice === "string";
  if (choices.length > 0 && choices.every(isChoice)) return { kind: "choice", choices };
  const kind = KINDS[only.type ?? ""] ?? "json";
  return { kind, choices: [], least: only.minimum, most: only.maximum };
}

function resolved(schema: Schema, root: Schema): Schema {
  const name = schema.$ref?.split("/").at(-1);
  return name ? (root.$defs?.[name] ?? schema) : schema;
}
