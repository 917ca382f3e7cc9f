import eslint from "@eslint/js";
import accessibility from "eslint-plugin-jsx-a11y";
import hooks from "eslint-plugin-react-hooks";
import { defineConfig, globalIgnores } from "eslint/config";
import typescript from "typescript-eslint";

export default defineConfig(
  globalIgnores(["src/graphql/generated.ts"]),
  eslint.configs.recommended,
  {
    files: ["src/**/*.{ts,tsx}"],
    extends: [
      typescript.configs.recommendedTypeChecked,
      accessibility.flatConfigs.recommended,
      hooks.configs.flat.recommended,
    ],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // What scrolls must be reached by keys.
      "jsx-a11y/no-noninteractive-tabindex": ["error", { tags: ["pre"], roles: ["group"] }],
      // Handlers of events may be async: each tells by itself what went wrong.
      "@typescript-eslint/no-misused-promises": [
        "error",
        { checksVoidReturn: { attributes: false } },
      ],
      // Only of interest to React's compiler, which is not used.
      "react-hooks/incompatible-library": "off",
    },
  },
  { files: ["*.ts"], extends: [typescript.configs.recommended] },
  { files: ["*.mjs"], languageOptions: { globals: { URL: "readonly" } } },
);
