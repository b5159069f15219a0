/**
 * What the newest pass says of the model, and of which version it says so. Pure.
 *
 * @typedef {import("./types.js").PageData} PageData
 * @typedef {import("./types.js").Pass} Pass
 *
 * @typedef {object} Finding
 * @property {string} title
 * @property {"ok" | "bad" | "warn" | "unknown"} look
 * @property {string} word
 * @property {string} why
 * @property {string | null} version  Which version it was found of; null where it is of no version.
 */
import { count, sentence } from "../words.js";

const STATES = /** @type {Record<string, [Finding["look"], string]>} */ ({
  ok: ["ok", "fine"],
  drift: ["bad", "drift"],
  decay: ["bad", "decay"],
  problems: ["warn", "problems"],
  unknown: ["unknown", "unknown"],
});

const NOT_SEEN = { look: /** @type {const} */ ("unknown"), word: "unknown" };
export const UNSEEN = "No pass since it was promoted.";

/** The version whose answers a pass measured. @param {Pass} pass */
export function measured(pass) {
  return pass.measured ?? pass.champion;
}

/** Whether another version has become champion since the newest pass. @param {PageData} page */
export function overtaken(page) {
  const pass = page.passes.at(-1);
  return pass !== undefined && page.champion !== null && measured(pass) !== page.champion;
}

/**
 * What the tiles say. Of a champion that no pass has seen, performance and drift are unknown.
 *
 * @param {PageData} page
 * @param {Pass} pass  The newest.
 * @returns {Finding[]}
 */
export function findings(page, pass) {
  const of = (/** @type {string} */ title, /** @type {string} */ state, /** @type {string} */ why) => {
    const version = measured(pass);
    const [look, word] = STATES[state] ?? ["unknown", state];
    if (!overtaken(page)) return { title, look, word, why: sentence(why), version };
    return { title, ...NOT_SEEN, why: `${UNSEEN} Before it: ${word}, ${sentence(why)}`, version };
  };
  return [
    of("Performance", pass.performance, pass.performance_why),
    of("Drift", pass.drift, pass.drift_why),
    data(pass),
  ];
}

/** Labels that disagree are no problem of the window, and not fine either. @returns {Finding} */
function data(/** @type {Pass} */ pass) {
  const [look, word] = STATES[pass.quality] ?? ["unknown", pass.quality];
  const found = { title: "Data", look, word, version: null };
  const disagree = pass.contradicted > 0 ? [count(pass.contradicted, "contradicted label")] : [];
  const why = [...pass.quality_reasons, ...disagree].join("; ");
  if (pass.quality === "ok" && disagree.length > 0) {
    return { ...found, look: "warn", word: "labels disagree", why: sentence(why) };
  }
  return { ...found, why: sentence(why || `${count(pass.rows, "captured prediction")} can be relied on`) };
}
