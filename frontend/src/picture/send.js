/**
 * Asks a model of one picture; every failure is an `ApiError`.
 *
 * By XMLHttpRequest, because `fetch` tells nobody how much of a body has been sent.
 */
import { ANSWER, ApiError, read } from "../api.js";

/**
 * @typedef {object} Explanation
 * @property {string} class       Whose probability is meant.
 * @property {number[][]} drops   Row by row, by how much that falls when this part of the picture is covered.
 *
 * @typedef {import("../api.js").Prediction & { explanation?: Explanation }} PictureAnswer
 *
 * @typedef {object} Ways         How the world is reached; a test has its own.
 * @property {() => XMLHttpRequest} request
 * @property {number} [stall]     Milliseconds without a byte, or for the answer, after which a call is given up.
 */

const STALL = 40_000;

/**
 * @param {string} url  As `api.asked` says it.
 * @param {Blob} blob
 * @param {{ explain: boolean, onProgress: (share: number) => void }} options  From 0 to 1.
 * @param {AbortSignal} signal
 * @param {Ways} [ways]
 * @returns {Promise<PictureAnswer>}
 */
export function ask(url, blob, { explain, onProgress }, signal, { request, stall = STALL } = browser()) {
  const body = new FormData();
  // Never under its own name, which may be a patient's.
  body.append("image", blob, "picture");
  return new Promise((resolve, reject) => {
    const call = request();
    let timer = setTimeout(() => call.abort(), stall);
    const leave = () => call.abort();
    signal.addEventListener("abort", leave);
    const end = (/** @type {() => void} */ settle) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", leave);
      settle();
    };
    call.upload.onprogress = ({ lengthComputable, loaded, total }) => {
      clearTimeout(timer);
      timer = setTimeout(() => call.abort(), stall);
      if (lengthComputable && total > 0) onProgress(loaded / total);
    };
    call.onload = () =>
      end(() => {
        try {
          // Asked of an answer that has none, a browser complains.
          const retryAfter = call.status < 400 ? null : call.getResponseHeader("Retry-After");
          resolve(read(call.status, call.responseText, retryAfter, ANSWER));
        } catch (error) {
          reject(error);
        }
      });
    call.onerror = () => end(() => reject(new ApiError("network")));
    call.onabort = () => end(() => reject(signal.aborted ? signal.reason : new ApiError("timeout")));
    call.open("POST", explain ? `${url}?explain=1` : url);
    if (signal.aborted) end(() => reject(signal.reason));
    else call.send(body);
  });
}

/** @returns {Ways} */
function browser() {
  return { request: () => new XMLHttpRequest() };
}
