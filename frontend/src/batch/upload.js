/**
 * Sends one file to the bucket by the form that the API signed; every failure is one `UploadError`.
 *
 * By XMLHttpRequest, because `fetch` tells nobody how much of a body has been sent.
 */
import { beginning } from "../files.js";

/** @typedef {import("../api.js").UploadForm} UploadForm */

/**
 * `network`: the connection broke, or nothing moved for a minute. `busy`: the bucket asks to come again. `large`: more
 * than the form allows. `ended`: the form is too old. `unreadable`: the file cannot be read from the disk (any more).
 * `refused`: anything else.
 * @typedef {"network" | "busy" | "large" | "ended" | "unreadable" | "refused"} UploadFailure
 *
 * @typedef {object} Ways              How the world is reached; a test has its own.
 * @property {() => XMLHttpRequest} request
 * @property {(ms: number, signal: AbortSignal) => Promise<void>} rest
 * @property {number} [stall]          Milliseconds without a byte after which a connection counts as broken.
 *
 * @typedef {object} Watcher
 * @property {(share: number) => void} onProgress                               From 0 to 1.
 * @property {(error: UploadError, wait: number) => void} onTrouble            It is sent again after `wait` milliseconds.
 * @property {(signal: AbortSignal) => Promise<boolean>} arrived  Whether the file is there, whatever became of the answer.
 */

/** Milliseconds before each attempt but the first. */
const PAUSES = [2_000, 5_000, 15_000];
const STALL = 60_000;

export class UploadError extends Error {
  /** @param {UploadFailure} kind @param {string} [code]  What S3 calls it. */
  constructor(kind, code = "") {
    super(code || kind);
    this.name = "UploadError";
    this.kind = kind;
    this.code = code;
  }
}

/**
 * Sends a file, and sends it again where the connection broke: a form cannot be gone on with, only begun anew.
 *
 * @param {UploadForm} form @param {File} file @param {AbortSignal} signal @param {Watcher} watcher @param {Ways} ways
 */
export async function sendFile(form, file, signal, watcher, ways) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await upload(form, file, signal, watcher.onProgress, ways);
    } catch (error) {
      if (!(error instanceof UploadError) || !["network", "busy"].includes(error.kind)) throw error;
      if (!(await isReadable(file))) throw new UploadError("unreadable");
      const wait = PAUSES[attempt];
      if (wait) {
        watcher.onTrouble(error, wait);
        await ways.rest(wait, signal);
      }
      // Only the answer may have been lost. A second copy would not be scored, but it would be sent for nothing.
      if (await watcher.arrived(signal)) return;
      if (!wait) throw error;
    }
  }
}

/**
 * One attempt. The file goes last: S3 reads no field behind it.
 *
 * @param {UploadForm} form @param {File} file @param {AbortSignal} signal
 * @param {(share: number) => void} onProgress @param {Ways} ways
 * @returns {Promise<void>}
 */
export function upload(form, file, signal, onProgress, { request, stall = STALL }) {
  const body = new FormData();
  for (const [name, value] of Object.entries(form.fields)) body.append(name, value);
  body.append("file", file, "file");
  return new Promise((resolve, reject) => {
    const call = request();
    let timer = setTimeout(() => call.abort(), stall);
    const leave = () => call.abort();
    signal.addEventListener("abort", leave);
    const end = (/** @type {unknown} */ error) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", leave);
      if (error === null) resolve();
      else reject(error);
    };
    call.upload.onprogress = (event) => {
      clearTimeout(timer);
      timer = setTimeout(() => call.abort(), stall);
      if (event.lengthComputable && event.total > 0) onProgress(event.loaded / event.total);
    };
    call.onload = () => end(failureOf(call.status, call.responseText));
    call.onerror = () => end(new UploadError("network"));
    call.onabort = () => end(signal.aborted ? signal.reason : new UploadError("network"));
    call.open("POST", form.url);
    if (signal.aborted) end(signal.reason);
    else call.send(body);
  });
}

/** Whether the browser still gets at the file: it may be a folder, deleted, or on a stick that was pulled. */
export async function isReadable(/** @type {Blob} */ file) {
  return (await beginning(file, 1)) !== null;
}

/** What S3 means by its answer, or null where it took the file. @param {number} status @param {string} text  XML. */
export function failureOf(status, text) {
  if (status >= 200 && status < 300) return null;
  const code = /<Code>(\w{1,64})<\/Code>/.exec(text)?.[1] ?? "";
  if (code === "EntityTooLarge" || status === 413) return new UploadError("large", code);
  if (status >= 500 || status === 429 || code === "RequestTimeout") return new UploadError("busy", code);
  if (code === "ExpiredToken" || (status === 403 && /expired/i.test(text))) return new UploadError("ended", code);
  return new UploadError("refused", code || `HTTP ${status}`);
}
