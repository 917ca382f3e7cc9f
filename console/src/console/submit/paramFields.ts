/** A form's fields from the JSON Schema of a program's parameters, and parameters from the form. */

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

type Schema = Record<string, any>;

export function fieldsOf(schema: unknown): ParamField[] {
  const root = schema as Schema;
  const model = resolved(root, root);
  const required: string[] = model.required ?? [];
  return Object.entries<Schema>(model.properties ?? {}).map(([name, property]) => {
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
    fields.map(({ name, kind, initial }) => {
      const value = params[name] ?? initial ?? null;
      if (kind === "boolean") return [name, value === true];
      if (value === null) return [name, ""];
      return [name, kind === "json" ? JSON.stringify(value) : String(value)];
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
  if (kind !== "json") return Number.isNaN(Number(text)) ? text : Number(text);
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${name} is not JSON`);
  }
}

function shapeOf(property: Schema, root: Schema): Pick<ParamField, "kind" | "choices"> & Schema {
  const variants: Schema[] = property.anyOf ?? property.allOf ?? [property];
  const others = variants.map((one) => resolved(one, root)).filter(({ type }) => type !== "null");
  const only = others[0];
  if (others.length !== 1 || !only) return { kind: "json", choices: [] };
  const choices: unknown[] = only.enum ?? (only.const === undefined ? [] : [only.const]);
  if (choices.length > 0 && choices.every((choice) => typeof choice === "string")) {
    return { kind: "choice", choices: choices as string[] };
  }
  const kinds: Record<string, ParamField["kind"]> = {
    string: "text",
    integer: "integer",
    number: "number",
    boolean: "boolean",
  };
  const kind = kinds[only.type] ?? "json";
  return { kind, choices: [], least: only.minimum, most: only.maximum };
}

function resolved(schema: Schema, root: Schema): Schema {
  const name = typeof schema.$ref === "string" ? schema.$ref.split("/").at(-1) : undefined;
  return name ? (root.$defs?.[name] ?? schema) : schema;
}
