/**
 * Builds `dist/`: one script, one style sheet, the page and the logo. File names carry a hash of their
 * content, so that everything but the page may be cached for good. Fails when what a visit loads outgrows its
 * budget.
 */
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const DIST = join(HERE, "dist");
const BUDGET = 120 * 1024;
const NOTICES = "licenses.txt";
const BUNDLED = ["@picocss/pico", "preact", "htm"];

/** Bundle one entry and write it under a name that carries its hash; answers that name. */
async function bundle(entry, name, extension) {
  const result = await build({
    absWorkingDir: HERE,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: ["es2022", "chrome116", "firefox124", "safari17.4"],
    external: ["data:*"],
    legalComments: "inline",
    logLevel: "warning",
  });
  const content = result.outputFiles[0].contents;
  const digest = createHash("sha256").update(content).digest("hex").slice(0, 10);
  const file = `assets/${name}-${digest}.${extension}`;
  await writeFile(join(DIST, file), content);
  return file;
}

/** The notices that the licences of the bundled packages ask every copy to carry. */
async function licenses() {
  const parts = BUNDLED.map(async (name) => {
    const folder = join(HERE, "node_modules", name);
    const notice = (await readdir(folder)).find((file) => /^licen[cs]e/i.test(file));
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    return `${name} ${version} (${license})\n\n${notice ? await readFile(join(folder, notice), "utf8") : ""}`;
  });
  return (await Promise.all(parts)).join("\n----\n\n");
}

/** Print each file's size in bytes; answers the sum of those that a visit loads. */
async function weigh() {
  let total = 0;
  for (const entry of await readdir(DIST, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const { size } = await stat(path);
    if (entry.name !== NOTICES) total += size;
    console.log(`${String(size).padStart(8)}  ${path.slice(DIST.length + 1)}`);
  }
  console.log(`${String(total).padStart(8)}  loaded by a visit (${(total / 1024).toFixed(1)} of ${BUDGET / 1024} KiB)`);
  return total;
}

await rm(DIST, { recursive: true, force: true });
await mkdir(join(DIST, "assets"), { recursive: true });
const [script, style] = await Promise.all([
  bundle("src/main.js", "app", "js"),
  bundle("src/style.css", "style", "css"),
]);
const page = await readFile(join(HERE, "index.html"), "utf8");
await writeFile(join(DIST, "index.html"), page.replace("__SCRIPT__", script).replace("__STYLE__", style));
await writeFile(join(DIST, NOTICES), await licenses());
await cp(join(HERE, "public"), DIST, { recursive: true });
if ((await weigh()) > BUDGET) {
  console.error("The site is over its budget.");
  process.exitCode = 1;
}
