import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const PACKED = /\.(js|css|svg|ttf)$/;

/** Packs files once, when they are built, instead of at every request. */
function packed(): Plugin {
  return {
    name: "packed",
    apply: "build",
    async writeBundle({ dir }) {
      const folder = join(dir!, "assets");
      const names = (await readdir(folder)).filter((name) => PACKED.test(name));
      for (const name of names) {
        const data = await promisify(gzip)(await readFile(join(folder, name)), { level: 9 });
        await writeFile(join(folder, `${name}.gz`), data);
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), packed()],
  build: {
    outDir: "../app/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 4096,
    rollupOptions: { input: ["index.html", "graphiql.html"] },
  },
});
