/**
 * How the page puts figures, times and states. Pure.
 */
import { figure, metricName, percent } from "../words.js";

/** @typedef {import("./types.js").Version} Version */

const STATUS = {
  champion: "champion",
  former: "former champion",
  rolled_back: "rolled back",
  rejected: "rejected",
  waiting: "waits for a person",
  registered: "registered",
};

const KINDS = { promoted: "Promoted", rolled_back: "Rolled back", rejected: "Rejected", waiting: "Waits for a person" };

const STATISTICS = { kolmogorov_smirnov: "Kolmogorov-Smirnov", total_variation: "total variation" };

/** @param {string} status */
export const statusWord = (status) => STATUS[status] ?? status;

/** @param {string} kind */
export const eventWord = (kind) => KINDS[kind] ?? kind;

/** @param {string} statistic */
export const statisticName = (statistic) => STATISTICS[statistic] ?? statistic;

/** The first digits of a version, which tell it from all others here. @param {string} version */
export const short = (version) => version.slice(0, 8);

/** A number, or a dash where there is none. @param {number | null | undefined} value */
export function number(value) {
  return value === null || value === undefined ? "–" : String(figure(value));
}

/** A share as a percentage, or a dash. @param {number | null | undefined} value */
export function share(value) {
  return value === null || value === undefined ? "–" : percent(value);
}

/** Metrics that may be any number from 0, and one that may be any number to 1; all others are from 0 to 1. */
const RANGES = /** @type {Record<string, [number, number]>} */ ({
  log_loss: [0, Infinity],
  mean_absolute_error: [0, Infinity],
  root_mean_squared_error: [0, Infinity],
  r2: [-Infinity, 1],
});

/**
 * `0.91 (0.88 to 0.94)`, or a dash. No interval is shown to go where the metric cannot.
 *
 * @param {import("./types.js").Metric | undefined} metric
 * @param {string} name  Of the metric.
 */
export function interval(metric, name) {
  if (!metric) return "–";
  if (metric.low === null || metric.high === null) return number(metric.value);
  const [least, most] = RANGES[name] ?? [0, 1];
  return `${number(metric.value)} (${number(Math.max(metric.low, least))} to ${number(Math.min(metric.high, most))})`;
}

/** No line ends here: in the middle of a number such as `1e-6`. */
const JOINED = "\u2060";

/** A text cut where backticks begin and end code. @param {string} text @returns {{ code: boolean, words: string }[]} */
export function parts(text) {
  return text
    .split(/`([^`]+)`/)
    .map((words, index) => ({ code: index % 2 === 1, words: words.replaceAll(/(\de-)(?=\d)/g, `$1${JOINED}`) }))
    .filter(({ words }) => words !== "");
}

/** A p-value as it is written: never 0. @param {number | null} value */
export function chance(value) {
  if (value === null || value === undefined) return "–";
  return value < 0.0001 ? "< 0.0001" : value.toFixed(4);
}

/** A version in a list of choices. @param {Version} each @param {(iso: string) => string} when */
export function choice(each, when) {
  return `${short(each.version)} · ${each.candidate} · ${when(each.at)} · ${statusWord(each.status)}`;
}

/** Which way a metric is better, in a sentence's part. @param {string} metric @param {boolean} lower */
export function better(metric, lower) {
  return `${metricName(metric)}; ${lower ? "lower" : "higher"} is better`;
}

/** The reader's own time zone, such as `Europe/Berlin`. */
export function zone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone ?? "your own zone";
}
