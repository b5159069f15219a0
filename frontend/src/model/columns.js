/**
 * From columns to lines of a chart and rows of its table. Pure.
 *
 * @typedef {import("./types.js").PageData} PageData
 * @typedef {import("./types.js").FeatureHistory} FeatureHistory
 *
 * @typedef {object} Line  One thing drawn over time.
 * @property {string} label
 * @property {(number | null)[]} values
 * @property {"line" | "reference" | "limit" | "bars"} [style]
 * @property {{ low: (number | null)[], high: (number | null)[] }} [band]  Around the line.
 */

export const LINES = 6;

/** When each pass ended, in seconds since 1970. @param {PageData} page */
export function times(page) {
  return page.passes.map((each) => Date.parse(each.until) / 1000);
}

/** When another version became champion, in seconds since 1970. @param {PageData} page */
export function promotions(page) {
  return page.events
    .filter((each) => each.generation !== null)
    .map((each) => Date.parse(each.at) / 1000)
    .reverse();
}

/** The newest value there is. @template T @param {(T | null)[]} column @returns {T | null} */
export function newest(column) {
  return column.findLast((value) => value !== null) ?? null;
}

/** Features by how far they are from their baseline now, farthest first. @param {FeatureHistory[]} drift */
export function farthest(drift) {
  return [...drift].sort((a, b) => (b.value.at(-1) ?? -1) - (a.value.at(-1) ?? -1));
}

/** The features a chart can show at once, or the one that was asked for. @param {FeatureHistory[]} drift @param {string} asked */
export function shownFeatures(drift, asked) {
  const one = drift.filter((each) => each.feature === asked);
  return one.length > 0 ? one : farthest(drift).slice(0, LINES);
}

/** @param {FeatureHistory[]} shown @returns {Line[]} */
export function driftLines(shown) {
  const lines = shown.map((each) => ({ label: each.feature, values: each.value }));
  const thresholds = [...new Set(shown.map((each) => each.threshold))].filter((each) => each !== null);
  const length = shown[0]?.value.length ?? 0;
  const limits = thresholds.map((each) => ({
    label: `counts as moved from ${each}`,
    values: Array(length).fill(each),
    style: /** @type {const} */ ("limit"),
  }));
  return [...lines, ...limits];
}

/** Rows of a table with the newest pass first. @template T @param {T[]} rows */
export function newestFirst(rows) {
  return [...rows].reverse();
}

/** All names in the order they first appear. @param {string[][]} lists */
export function union(...lists) {
  return [...new Set(lists.flat())];
}
