// Writes src/generated.ts: the types of the service's schema, and of what this page asks.
import { readFile, writeFile } from "node:fs/promises";
import { codegen } from "@graphql-codegen/core";
import * as documentNodes from "@graphql-codegen/typed-document-node";
import * as operations from "@graphql-codegen/typescript-operations";
import { parse } from "graphql";

const parsed = async (path) => parse(await readFile(new URL(path, import.meta.url), "utf8"));
const filename = "src/generated.ts";

const text = await codegen({
  filename,
  // Outside of this repository, what "fanfold schema" prints.
  schema: await parsed("../../schema/schema.graphql"),
  documents: [{ location: "operations.graphql", document: await parsed("src/operations.graphql") }],
  config: {
    enumsAsTypes: true,
    useTypeImports: true,
    scalars: { JSON: "unknown", DateTime: "string", URL: "string" },
  },
  plugins: [{ operations: {} }, { documentNodes: {} }],
  pluginMap: { operations, documentNodes },
});
await writeFile(new URL(filename, import.meta.url), text);
