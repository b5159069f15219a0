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

/** Whether a feature is as far as one that moved, and chance alone may be why. @param {FeatureHistory} feature */
export function byChance({ value, threshold, moved }) {
  const now = value.at(-1) ?? null;
  return moved.at(-1) === false && now !== null && threshold !== null && now >= threshold;
}

/** The metric to open with: one that decayed, of which the spec's comes first, else the spec's. @param {PageData} page */
export function firstMetric({ metric, performance }) {
  const decayed = performance.filter((each) => each.verdict.at(-1) === "decay").map((each) => each.metric);
  return decayed.includes(metric ?? "") ? metric : (decayed[0] ?? metric);
}

/** Lines that have anything to draw. @param {Line[]} lines */
export function drawable(lines) {
  return lines.filter((line) => line.values.some((each) => each !== null));
}

const LEAST = 240;
const ALONE = 12 * 3600;

/**
 * What the time axis shows, in seconds: room for whole bars, and for ticks that differ.
 *
 * @param {number[]} moments  Ascending.
 * @param {Line[]} lines
 * @returns {[number, number]}
 */
export function span(moments, lines) {
  const [first, last] = [moments[0] ?? 0, moments.at(-1) ?? 0];
  const gaps = moments.slice(1).map((each, index) => each - moments[index]);
  const gap = gaps.length > 0 ? Math.min(...gaps) : ALONE;
  const bars = lines.some((line) => line.style === "bars");
  const room = Math.max(bars || gaps.length === 0 ? gap / 2 : 0, (LEAST - (last - first)) / 2);
  return [first - room, last + room];
}

/** Rows of a table with the newest pass first. @template T @param {T[]} rows */
export function newestFirst(rows) {
  return [...rows].reverse();
}

/** All names in the order they first appear. @param {string[][]} lists */
export function union(...lists) {
  return [...new Set(lists.flat())];
}
