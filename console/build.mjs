// Build the console into the API's static files, which are committed. The same sources have the same
// bytes: CI builds them again and compares. `--out FOLDER` writes elsewhere.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "../layers/core/runyard_service/api/console/static");
const option = process.argv.indexOf("--out");
const out = option > 0 ? process.argv[option + 1] : target;

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: ["src/main.tsx", "src/style.css", "src/icon.svg"],
  outdir: join(out, "assets"),
  entryNames: "[name]-[hash]",
  loader: { ".svg": "copy" },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  alias: { runyard: join(here, "../clients/typescript/src/index.ts") },
  legalComments: "none",
  banner: { js: "/*! Runyard's console, with Preact and Preact Signals (MIT). NOTICE has the licenses. */" },
  metafile: true,
});

const built = Object.entries(metafile.outputs).map(([path, { entryPoint }]) => [
  entryPoint ?? path,
  relative(out, join(here, path)),
]);
const named = name => built.find(([entry]) => entry.includes(name))[1];
const page = readFileSync(join(here, "src/index.html"), "utf8")
  .replace("{{script}}", named("main"))
  .replace("{{style}}", named("style"))
  .replace("{{icon}}", named("icon"));
writeFileSync(join(out, "index.html"), page);
