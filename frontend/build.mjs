/**
 * Builds `dist/`: the pages, each with its script and style sheets, and the logo. File names carry a hash of their
 * content, so that everything but the pages may be cached for good. Fails when what a visit to a page loads outgrows
 * its budget.
 */
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const DIST = join(HERE, "dist");
const KIB = 1024;
/** What a visit to each page may load, before compression and without a model's own data. */
const BUDGETS = {
  "index.html": 120 * KIB,
  "batch.html": 130 * KIB,
  "model.html": 190 * KIB,
  "report.html": 110 * KIB,
};
const NOTICES = "licenses.txt";
const BUNDLED = ["@picocss/pico", "preact", "htm", "uplot"];
/** Placeholder in the pages -> what is bundled for it. */
const BUNDLES = {
  __SCRIPT__: ["src/main.js", "app", "js"],
  __STYLE__: ["src/style.css", "style", "css"],
  __BATCH_SCRIPT__: ["src/batch/main.js", "batch", "js"],
  __BATCH_STYLE__: ["src/batch/style.css", "batch", "css"],
  __MODEL_SCRIPT__: ["src/model/main.js", "model", "js"],
  __MODEL_STYLE__: ["src/model/style.css", "model", "css"],
  __REPORT_SCRIPT__: ["src/report/main.js", "report", "js"],
};

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

/** Print each file's size in bytes, and what a visit to each page loads; answers the pages over their budget. */
async function weigh() {
  const sizes = new Map();
  for (const entry of await readdir(DIST, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    sizes.set(path.slice(DIST.length + 1), (await stat(path)).size);
  }
  for (const [file, size] of sizes) console.log(`${String(size).padStart(8)}  ${file}`);
  const over = [];
  for (const [page, budget] of Object.entries(BUDGETS)) {
    const text = await readFile(join(DIST, page), "utf8");
    const loaded = [page, ...[...sizes.keys()].filter((file) => text.includes(`"./${file}"`))];
    const total = loaded.reduce((sum, file) => sum + sizes.get(file), 0);
    console.log(`${page}: a visit loads ${(total / KIB).toFixed(1)} of ${budget / KIB} KiB`);
    if (total > budget) over.push(page);
  }
  return over;
}

await rm(DIST, { recursive: true, force: true });
await mkdir(join(DIST, "assets"), { recursive: true });
const bundled = await Promise.all(
  Object.entries(BUNDLES).map(async ([place, [entry, name, extension]]) => [
    place,
    await bundle(entry, name, extension),
  ]),
);
for (const page of Object.keys(BUDGETS)) {
  const text = await readFile(join(HERE, page), "utf8");
  await writeFile(
    join(DIST, page),
    bundled.reduce((filled, [place, file]) => filled.replace(place, file), text),
  );
}
await writeFile(join(DIST, NOTICES), await licenses());
await cp(join(HERE, "public"), DIST, { recursive: true });
for (const page of await weigh()) {
  console.error(`${page} is over its budget.`);
  process.exitCode = 1;
}
