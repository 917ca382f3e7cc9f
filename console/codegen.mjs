// Writes src/graphql/generated.ts: the types of the served schema and of our operations.
import { readFile, writeFile } from "node:fs/promises";
import { codegen } from "@graphql-codegen/core";
import * as documentNodes from "@graphql-codegen/typed-document-node";
import * as operations from "@graphql-codegen/typescript-operations";
import { parse } from "graphql";

const here = (path) => new URL(path, import.meta.url);
const parsed = async (path) => parse(await readFile(here(path), "utf8"));
const filename = "src/graphql/generated.ts";

const text = await codegen({
  filename,
  schema: await parsed("../schema/schema.graphql"),
  documents: [
    { location: "operations.graphql", document: await parsed("src/graphql/operations.graphql") },
  ],
  config: {
    enumsAsTypes: true,
    skipTypename: true,
    useTypeImports: true,
    scalars: { JSON: "unknown", DateTime: "string", URL: "string" },
  },
  plugins: [{ operations: {} }, { documentNodes: {} }],
  pluginMap: { operations, documentNodes },
});
await writeFile(here(filename), text);
