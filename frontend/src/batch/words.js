/**
 * How files, their states and what stopped them are put to a reader. Pure.
 */
import { ApiError } from "../api.js";
import { bytes, nameOf, sized } from "../files.js";
import { range } from "../schema.js";
import { count, explain, figure, titleOf } from "../words.js";
import { UploadError } from "./upload.js";

/**
 * @typedef {import("./jobs.js").Job} Job
 * @typedef {import("../api.js").BatchState} BatchState
 *
 * @typedef {"tabular" | "image" | null} Input  What a model reads; null as long as that is not known.
 *
 * @typedef {"ok" | "bad" | "warn" | "unknown"} Look
 * @typedef {{ look: Look, word: string, line: string, share: number | null | undefined }} Standing
 *   `share` is that of a bar: null where it only says that something goes on, undefined where there is none.
 */

const PATIENCE = 300_000;
const SHOWN = 6;
const LONGEST_CELL = 200;

/** How far a file is. @param {Job} job @param {number} now  In milliseconds since 1970. @returns {Standing} */
export function standing(job, now) {
  const { stage } = job;
  switch (stage.at) {
    case "queued":
      return { look: "unknown", word: "queued", line: "Is sent when the one before it has been.", share: undefined };
    case "cancelled":
      return { look: "unknown", word: "cancelled", line: "Nothing was scored.", share: undefined };
    case "sending":
      return sending(job.size, stage, now);
    case "unsent":
      return { look: "bad", word: "not sent", line: "", share: undefined };
    case "lost":
      return { look: "bad", word: "lost", line: "", share: undefined };
    case "following":
      return stage.state === null
        ? { look: "unknown", word: "asking", line: "Asking how far it is.", share: null }
        : scoring(stage.state, now - job.sent);
  }
}

/** @returns {Standing} */
function sending(/** @type {number} */ size, /** @type {any} */ { share, since, trouble, wait }, /** @type {number} */ now) {
  const word = "sending";
  if (trouble) {
    const again = `It is sent again from its beginning in ${count(Math.round(wait / 1000), "second")}.`;
    const what = trouble.kind === "network" ? "The connection broke." : "The bucket is busy.";
    return { look: "warn", word, line: `${what} ${again}`, share: null };
  }
  if (share === 0) return { look: "unknown", word, line: "Getting ready.", share: null };
  if (share === 1) return { look: "unknown", word, line: `All of its ${bytes(size)} are sent; waiting for the answer.`, share };
  const line = `${Math.floor(share * 100)} %, ${bytes(Math.round(share * size))} of ${bytes(size)}`;
  return { look: "unknown", word, line: `${line}${left((now - since) / 1000, share)}`, share };
}

/** @returns {Standing} */
function scoring(/** @type {BatchState} */ { state, awaiting, progress, rows }, /** @type {number} */ age) {
  switch (state) {
    case "waiting":
      if (awaiting === "upload") {
        const line = "No file has arrived: the page was left while it was being sent. Choose it again.";
        return { look: "warn", word: "not sent", line, share: undefined };
      }
      return age < PATIENCE
        ? { look: "unknown", word: "waiting", line: "Arrived. Waits to be scored.", share: null }
        : {
            look: "warn",
            word: "waiting",
            line: "Has been waiting for longer than it should. Who runs this deployment can look into its queue.",
            share: null,
          };
    case "scoring":
      return {
        look: "unknown",
        word: "scoring",
        line: `${Math.floor(progress * 100)} %${rows.read ? `, ${count(rows.read, "row")} so far` : ""}.`,
        share: progress,
      };
    case "joining":
      return { look: "unknown", word: "joining", line: "Its parts are scored and being put together.", share: progress };
    case "done":
      return { look: rows.quarantined ? "warn" : "ok", word: "done", line: "", share: undefined };
    default:
      return { look: "bad", word: "failed", line: "", share: undefined };
  }
}

/** How long it may still take; nothing before that can be told. */
function left(/** @type {number} */ seconds, /** @type {number} */ share) {
  if (seconds < 3) return "";
  const rest = (seconds / share) * (1 - share);
  if (rest < 55) return `, about ${Math.max(1, Math.round(rest / 5) * 5)} s left`;
  return `, about ${Math.round(rest / 60) || 1} min left`;
}

/** What is said aloud of a file: where it stands, without the figures that change all the time. @param {Job} job */
export function spoken({ name, stage }) {
  switch (stage.at) {
    case "sending":
      return stage.trouble ? `${name}: the connection broke, it is sent again.` : `${name} is being sent.`;
    case "cancelled":
      return `${name} was cancelled.`;
    case "unsent":
      return `${name} was not sent. ${stopped(stage.error).title}`;
    case "lost":
      return `${name}: ${lost(stage.error).title}`;
    case "following":
      if (stage.trouble) return `${name}: the connection is lost, asking again.`;
      return stage.state ? spokenState(name, stage.state) : "";
    default:
      return "";
  }
}

function spokenState(/** @type {string} */ name, /** @type {BatchState} */ { state, awaiting, rows, reason }) {
  if (state === "done") return `${name} is done: ${counts(rows)}.`;
  if (state === "failed") return `${name} failed. ${reason ?? ""}`;
  if (state === "waiting") return awaiting === "upload" ? `${name} has not arrived.` : `${name} has arrived.`;
  return `${name} is being scored.`;
}

/** @param {BatchState["rows"]} rows */
export function counts({ scored, quarantined }) {
  return `${count(scored, "row")} scored${quarantined ? `, ${figure(quarantined)} refused` : ""}`;
}

/** What stopped a file on its way, and what to do. @param {unknown} error @returns {{ title: string, advice: string }} */
export function stopped(error) {
  if (error instanceof UploadError) return UPLOADS[error.kind](error);
  if (!(error instanceof ApiError)) return explain(error);
  if (error.status === 413) return { title: "It is too large.", advice: sized(error.detail) };
  if (error.kind === "invalid") {
    const reasons = error.problems.map(({ field, reason }) => `${field}: ${reason}.`).join(" ");
    return { title: "The API does not take it like this.", advice: reasons || error.detail };
  }
  return explain(error);
}

/** Why a file that was sent cannot be followed. @param {unknown} error @returns {{ title: string, advice: string }} */
export function lost(error) {
  return error instanceof ApiError && error.kind === "missing"
    ? { title: "The API does not know this file.", advice: "It may have been removed. Choose it again." }
    : stopped(error);
}

/** @type {Record<import("./upload.js").UploadFailure, (error: UploadError) => { title: string, advice: string }>} */
const UPLOADS = {
  network: () => ({
    title: "The connection broke each time.",
    advice: "Nothing was scored. Check the connection, then send it again.",
  }),
  busy: () => ({ title: "The bucket does not take files at the moment.", advice: "Send it again in a while." }),
  large: () => ({ title: "It is too large.", advice: "Cut it into several files, and put in each." }),
  ended: () => ({
    title: "The permission to send it had ended.",
    advice: "It is given for an hour. Send it again, and the page asks for a new one.",
  }),
  unreadable: () => ({
    title: "It cannot be read from the disk.",
    advice: "It was moved, changed or deleted since it was chosen. Choose it again.",
  }),
  refused: ({ code }) => ({
    title: "The bucket refused it.",
    advice: `It said ${code}. Send it again; if it stays, who runs this deployment has to look into it.`,
  }),
};

/**
 * Why a file is not even sent, or an empty text.
 *
 * @param {File} file @param {Uint8Array | null} start  Its first bytes. @param {Input} input  What the model reads.
 */
export function objection(file, start, input) {
  const name = nameOf(file);
  if (start === null) return `“${name}” cannot be read. Is it a folder?`;
  if (file.size === 0) return `“${name}” is empty.`;
  if (input !== "tabular") return "";
  if (start[0] === 0x50 && start[1] === 0x4b && start[2] < 9) {
    return `“${name}” is an archive or a workbook. Save its table as CSV, and choose that.`;
  }
  return isPicture(start) ? `“${name}” is a picture, and this model reads tables.` : "";
}

/** JPEG and PNG, which no text begins as; what else there is, the API tells. @param {Uint8Array} start */
function isPicture(start) {
  const begun = String.fromCharCode(...start);
  return begun.startsWith("\xff\xd8\xff") || begun.startsWith("\x89PNG");
}

/** What a column has to hold. @param {import("../schema.js").Field} field */
export function holds(field) {
  switch (field.kind) {
    case "number":
      return range(field) || "Number";
    case "choice":
      return some(field.options);
    case "open":
      return `Text, such as ${some(field.options)}`;
    case "text":
      return "Text";
    default:
      return "Date, such as 2026-11-21";
  }
}

function some(/** @type {unknown[]} */ values) {
  const more = values.length - SHOWN;
  return `${values.slice(0, SHOWN).join(", ")}${more > 0 ? ` and ${figure(more)} more` : ""}`;
}

/**
 * The first rows as a table: what the model says stands before what the file said, which a phone has no room for. The
 * version is the same in all rows, and stands above them.
 *
 * @param {{ columns: string[], rows: string[][] }} preview
 */
export function arranged({ columns, rows }) {
  const order = columns
    .map((name, index) => ({ index, rank: rank(name) }))
    .filter(({ rank }) => rank < RANKS.length)
    .sort((a, b) => a.rank - b.rank)
    .map(({ index }) => index);
  return {
    head: order.map((index) => columns[index]),
    rows: rows.map((row) => order.map((index) => cut(row[index] ?? ""))),
  };
}

const RANKS = [/^row$/, /^prediction$/, /^probability_/, /^(?!model_version$)/];

function rank(/** @type {string} */ name) {
  const found = RANKS.findIndex((pattern) => pattern.test(name));
  return found < 0 ? RANKS.length : found;
}

/** Without the end of what is endless. */
function cut(/** @type {string} */ text) {
  return text.length > LONGEST_CELL ? `${text.slice(0, LONGEST_CELL)}…` : text;
}

/** `customers.csv`, or `3 files`. @param {{ name: string }[]} files */
export function listed(files) {
  return files.length === 1 ? nameOf(files[0]) : count(files.length, "file");
}

/** What one of the files is called, newest first: by its name, and a number where it is not the first of that name. */
export function titled(/** @type {{ name: string }[]} */ jobs, /** @type {number} */ index) {
  const { name } = jobs[index];
  const before = jobs.slice(index + 1).filter((each) => each.name === name).length;
  return before > 0 ? `${name} (${before + 1})` : name;
}

/** @param {string} model */
export const heading = (model) => `Score a file with ${titleOf(model)}`;
