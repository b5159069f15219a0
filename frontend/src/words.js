/**
 * How names, numbers and failures are put to a reader. Pure.
 */

/** @typedef {import("./api.js").ApiError} ApiError */

const METRICS = { roc_auc: "ROC AUC", f1: "F1", r2: "R²" };

/** `student-depression` -> `Student depression`. @param {string} name */
export function titleOf(name) {
  const words = name.replaceAll(/[-_]+/g, " ").trim();
  return words ? words[0].toUpperCase() + words.slice(1) : name;
}

/** `roc_auc` -> `ROC AUC`. @param {string} metric */
export function metricName(metric) {
  return METRICS[metric] ?? titleOf(metric);
}

/**
 * A probability as a percentage that never rounds to a certainty it is not.
 * @param {number} share  From 0 to 1.
 */
export function percent(share) {
  if (share > 0 && share < 0.001) return "< 0.1 %";
  if (share < 1 && share > 0.999) return "> 99.9 %";
  return `${(share * 100).toFixed(share === 0 || share === 1 ? 0 : 1)} %`;
}

/**
 * A number with about four digits behind what matters; a class that is text stays as it is.
 * @param {string | number} value
 */
export function figure(value) {
  if (typeof value !== "number") return value;
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e15)) {
    return Number(value.toExponential(4)).toExponential();
  }
  const digits = Math.abs(value) < 1 ? { maximumSignificantDigits: 4 } : { maximumFractionDigits: 3 };
  return new Intl.NumberFormat("en", digits).format(value);
}

/** A metric with its 95 % interval, such as `0.918 (0.912 to 0.924)`. */
export function metricValue({ value, low, high }) {
  const round = (/** @type {number} */ each) =>
    Math.abs(each) < 10 ? each.toFixed(3) : figure(Number(each.toPrecision(4)));
  return low === null || low === undefined || high === null || high === undefined
    ? round(value)
    : `${round(value)} (${round(low)} to ${round(high)})`;
}

/**
 * What a model does, in one sentence.
 * @param {{ task: string, classes: string[] }} model
 * @param {string} target  The name of what it predicts; may be empty.
 */
export function purpose({ task, classes }, target) {
  const what = target || "the target";
  if (task === "regression") return `Predicts ${what}, a number.`;
  if (classes.length > 5) return `Predicts ${what}, one of ${classes.length} classes.`;
  return `Predicts ${what}: ${new Intl.ListFormat("en-GB", { type: "disjunction" }).format(classes)}.`;
}

/** Words with a full stop behind them, unless there are none. @param {string} words */
export function sentence(words) {
  return words && !/[.!?]$/.test(words) ? `${words}.` : words;
}

/** How many, with the noun. @param {number} count @param {string} one @param {string} [many] */
export function count(count, one, many = `${one}s`) {
  return `${figure(count)} ${count === 1 ? one : many}`;
}

/** A moment as the reader's own clock shows it. @param {string} iso */
export function moment(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime())
    ? iso
    : new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" }).format(date);
}

/**
 * What went wrong and what to do, in the reader's words.
 *
 * @param {unknown} error
 * @returns {{ title: string, advice: string }}
 */
export function explain(error) {
  const failure = /** @type {ApiError} */ (error);
  switch (failure?.kind) {
    case "network":
      return {
        title: "The API cannot be reached.",
        advice: "Check the connection, and that the API is running, then try again.",
      };
    case "timeout":
      return { title: "The API took too long to answer.", advice: "It may be starting up; try again in a moment." };
    case "busy":
      return {
        title: "The API is not ready.",
        advice: `${failure.detail ? `${failure.detail} ` : ""}Try again in ${wait(failure.retryAfter)}.`,
      };
    case "invalid":
      return { title: "The record was refused.", advice: failure.detail || "Check the values." };
    case "missing":
      return {
        title: "The API does not know this.",
        advice: failure.detail || "The model may have been removed; load the page again.",
      };
    case "refused":
      if (isStranger(failure)) {
        return {
          title: "This page may not do that here.",
          advice: "The API only takes it from callers it knows. Who runs this deployment can open it, or name another way.",
        };
      }
      return {
        title: "The API refused the request.",
        advice: failure.detail || `It answered with status ${failure.status}.`,
      };
    case "broken":
      return {
        title: "The API answered with an error.",
        advice: failure.detail || "Try again; if it stays, its log knows why.",
      };
    default:
      return {
        title: "This page cannot show the model.",
        advice: error instanceof Error ? error.message : "Load the page again.",
      };
  }
}

/**
 * What became of ground truth that was taken.
 *
 * @param {any} receipt  What the API answered; its `status` says whether it had been stored before.
 * @param {string | number} truth
 */
export function feedbackThanks(receipt, truth) {
  return receipt?.status === "already_stored"
    ? `That it was ${figure(truth)} had been stored already; it counts once.`
    : `Thank you. That it was ${figure(truth)} is stored.`;
}

/**
 * Why ground truth was not taken. `again` where sending it once more may help, `field` where another value does.
 *
 * @param {unknown} error
 * @returns {{ words: string, again: boolean, field: boolean }}
 */
export function explainFeedback(error) {
  const failure = /** @type {ApiError} */ (error);
  const final = (/** @type {string} */ words) => ({ words, again: false, field: false });
  if (isStranger(failure)) {
    const { title, advice } = explain(error);
    return final(`Not taken. ${title} ${advice}`);
  }
  switch (failure?.status) {
    case 403:
      return final("Not taken: this page may not speak for that prediction. Ask again to get a new one.");
    case 409:
      return final("Not changed: another value was stored for this prediction before, and the first one stands.");
    case 410:
      return final("Too late: ground truth is no longer taken for a prediction this old.");
    case 422:
      return { words: failure.problems[0]?.reason ?? "This value is not accepted.", again: false, field: true };
    default: {
      const { title, advice } = explain(error);
      return { words: `Not stored. ${title} ${advice}`, again: true, field: false };
    }
  }
}

/** Whether the gateway asked who calls: the API itself would have said more. */
function isStranger(/** @type {ApiError} */ failure) {
  return !failure?.detail && [401, 403].includes(failure?.status);
}

function wait(seconds) {
  if (!seconds) return "a moment";
  return seconds === 1 ? "1 second" : `${seconds} seconds`;
}
