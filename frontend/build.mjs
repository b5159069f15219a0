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
/** What a visit to each page may load, before compression and without a model's own data or what is asked for later. */
const BUDGETS = {
  "index.html": 120 * KIB,
  "batch.html": 130 * KIB,
  "model.html": 190 * KIB,
  "report.html": 110 * KIB,
};
/** What the form loads besides when a model of pictures is chosen. */
const PICTURES = ["pictures", 24 * KIB];
const NOTICES = "licenses.txt";
const BUNDLED = ["@picocss/pico", "preact", "htm", "uplot"];
/** Placeholder in the pages -> what is bundled for it. The script of the form is split, and bundled on its own. */
const BUNDLES = {
  __STYLE__: ["src/style.css", "style", "css"],
  __BATCH_SCRIPT__: ["src/batch/main.js", "batch", "js"],
  __BATCH_STYLE__: ["src/batch/style.css", "batch", "css"],
  __MODEL_SCRIPT__: ["src/model/main.js", "model", "js"],
  __MODEL_STYLE__: ["src/model/style.css", "model", "css"],
  __REPORT_SCRIPT__: ["src/report/main.js", "report", "js"],
};

const OPTIONS = {
  absWorkingDir: HERE,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022", "chrome116", "firefox124", "safari17.4"],
  external: ["data:*"],
  legalComments: "inline",
  logLevel: "warning",
};

/** Bundle one entry and write it under a name that carries its hash; answers that name. */
async function bundle(entry, name, extension) {
  const result = await build({ ...OPTIONS, entryPoints: [entry], write: false });
  const content = result.outputFiles[0].contents;
  const digest = createHash("sha256").update(content).digest("hex").slice(0, 10);
  const file = `assets/${name}-${digest}.${extension}`;
  await writeFile(join(DIST, file), content);
  return file;
}

/**
 * Bundle the form: its script, what that shares with the form for pictures, and the latter, which is loaded when it is
 * asked for.
 */
async function form() {
  const style = await bundle("src/picture/style.css", "pictures", "css");
  const { metafile } = await build({
    ...OPTIONS,
    entryPoints: { app: "src/main.js" },
    define: { PICTURE_STYLE: JSON.stringify(style.replace("assets/", "./")) },
    outdir: join(DIST, "assets"),
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    splitting: true,
    metafile: true,
  });
  const outputs = Object.entries(metafile.outputs);
  const [script, { imports }] = outputs.find(([, { entryPoint }]) => entryPoint === "src/main.js");
  const [shared, ...more] = imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => path);
  if (!shared || more.length > 0) throw new Error("index.html expects its script to share one file with what comes later.");
  const later = outputs.map(([path]) => path).filter((path) => path !== script && path !== shared);
  const inDist = (path) => path.slice(path.indexOf("assets/"));
  return { script: inDist(script), shared: inDist(shared), later: [style, ...later.map(inDist)] };
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

/** Print each file's size in bytes, and what is loaded when; answers what is over its budget. @param {string[]} later */
async function weigh(later) {
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
    if (!fits(page, loaded, budget)) over.push(page);
  }
  if (!fits(PICTURES[0], later, PICTURES[1])) over.push(PICTURES[0]);
  return over;

  function fits(what, loaded, budget) {
    const total = loaded.reduce((sum, file) => sum + sizes.get(file), 0);
    console.log(`${what}: ${(total / KIB).toFixed(1)} of ${budget / KIB} KiB`);
    return total <= budget;
  }
}

await rm(DIST, { recursive: true, force: true });
await mkdir(join(DIST, "assets"), { recursive: true });
const bundled = await Promise.all(
  Object.entries(BUNDLES).map(async ([place, [entry, name, extension]]) => [
    place,
    await bundle(entry, name, extension),
  ]),
);
const { script, shared, later } = await form();
bundled.push(["__SCRIPT__", script], ["__SHARED__", shared]);
for (const page of Object.keys(BUDGETS)) {
  const text = await readFile(join(HERE, page), "utf8");
  await writeFile(
    join(DIST, page),
    bundled.reduce((filled, [place, file]) => filled.replace(place, file), text),
  );
}
await writeFile(join(DIST, NOTICES), await licenses());
await cp(join(HERE, "public"), DIST, { recursive: true });
for (const what of await weigh(later)) {
  console.error(`${what}: over the budget.`);
  process.exitCode = 1;
}
