import react from "@vitejs/plugin-react";
import { defineConfig, loadEnv } from "vite";

// The page asks its own server, which asks the service: so it needs no rights at another origin.
export default defineConfig(({ mode }) => {
  const { FANFOLD_URL } = loadEnv(mode, ".", "FANFOLD_");
  const proxy = { "/graphql": { target: FANFOLD_URL ?? "http://127.0.0.1:8000", ws: true } };
  return { plugins: [react()], server: { proxy }, preview: { proxy } };
});
