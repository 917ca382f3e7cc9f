// What AppSync's runtime for resolvers refuses: its plugin tells most of it, the rest is below.
import appsync from "@aws-appsync/eslint-plugin";

const { languageOptions, plugins, rules } = appsync.configs.recommended;
const REFUSED = {
  ThrowStatement: "there is no throw; use util.error",
  TryStatement: "there is no try",
  NewExpression: "there is no new",
  ImportExpression: "imports stand at the top",
  "MemberExpression[object.name='Math'][property.name='random']": "use util.autoId",
};
// Of what a resolver names, nothing but these is there without an import.
const GLOBALS = ["Array", "JSON", "Math", "Number", "Object", "String", "console", "undefined"];

export default [
  {
    files: ["resolvers/*.js"],
    plugins,
    rules: {
      ...rules,
      "no-restricted-imports": [
        "error",
        { patterns: [{ regex: "^(?!@aws-appsync/utils$)", message: "there is no such module" }] },
      ],
      "no-restricted-syntax": [
        "error",
        ...Object.entries(REFUSED).map(([selector, message]) => ({ selector, message })),
      ],
      "no-undef": "error",
      "no-unused-vars": "error",
    },
    languageOptions: {
      ...languageOptions,
      ecmaVersion: 2022,
      globals: {
        // Those of JavaScript that ESLint knows by itself, and AppSync does not.
        ...Object.fromEntries(
          Object.getOwnPropertyNames(globalThis).map((name) => [name, "off"]),
        ),
        ...Object.fromEntries(GLOBALS.map((name) => [name, "readonly"])),
      },
      parserOptions: { lib: [], projectService: true, tsconfigRootDir: import.meta.dirname },
    },
  },
];
