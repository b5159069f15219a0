/**
 * What the page shows, as static JSON beside it. No DOM; every failure is one `PageError`.
 *
 * @typedef {import("./types.js").PageData} PageData
 * @typedef {import("./types.js").Evaluation} Evaluation
 */

export const MODEL = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const VERSION = /^[0-9a-f]{16}$/;
const TIMEOUT = 20_000;

/** `missing`: there is no such file. `network`: no answer. `broken`: what came is not of this release. */
export class PageError extends Error {
  /** @param {"missing" | "network" | "broken"} kind @param {string} file */
  constructor(kind, file) {
    super(`${file}: ${kind}`);
    this.name = "PageError";
    this.kind = kind;
    this.file = file;
  }
}

/** The part of the address behind `#`: a model, and where one is compared, a version. @param {string} hash */
export function address(hash) {
  const [model, version = ""] = hash.split("/");
  return { model: MODEL.test(model) && model.length <= 40 ? model : "", version: VERSION.test(version) ? version : "" };
}

/** Names of the models that have a page. @param {AbortSignal} signal @returns {Promise<string[]>} */
export async function loadIndex(signal) {
  const index = await read("data/index.json", signal);
  if (index?.format !== 1 || !Array.isArray(index.models)) throw new PageError("broken", "data/index.json");
  return index.models.filter((/** @type {unknown} */ name) => typeof name === "string" && MODEL.test(name));
}

/** @param {string} model @param {AbortSignal} signal @returns {Promise<PageData>} */
export async function loadPage(model, signal) {
  const file = `data/${model}/model.json`;
  const page = await read(file, signal);
  if (page?.format !== 1 || !Array.isArray(page.versions) || !Array.isArray(page.passes)) {
    throw new PageError("broken", file);
  }
  return page;
}

/** @param {string} model @param {string} version @param {AbortSignal} signal @returns {Promise<Evaluation>} */
export async function loadEvaluation(model, version, signal) {
  const file = fileOf(model, version, "evaluation.json");
  const evaluation = await read(file, signal);
  if (evaluation?.format !== 1 || !Array.isArray(evaluation.charts)) throw new PageError("broken", file);
  return evaluation;
}

/** Where a file of a version is. @param {string} model @param {string} version @param {string} name */
export function fileOf(model, version, name) {
  return ["data", model, "versions", version, name].map(encodeURIComponent).join("/");
}

async function read(/** @type {string} */ file, /** @type {AbortSignal} */ signal) {
  let response;
  let text;
  try {
    response = await fetch(file, {
      cache: "no-cache",
      credentials: "omit",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]),
    });
    text = await response.text();
  } catch {
    throw new PageError("network", file);
  }
  // Without the right to list, S3 answers 403 for what is not there.
  if (response.status === 404 || response.status === 403) throw new PageError("missing", file);
  if (!response.ok) throw new PageError("network", file);
  try {
    return JSON.parse(text);
  } catch {
    throw new PageError("broken", file);
  }
}
