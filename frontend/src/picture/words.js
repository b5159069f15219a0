/**
 * How pictures and what stopped them are put to a reader. Pure.
 */
import { bytes, sized } from "../files.js";
import { explain, figure, sentence } from "../words.js";

/** @typedef {import("./prepare.js").Picture} Picture */

/** @type {Record<number, string>} */
const TITLES = {
  413: "The picture is too large.",
  415: "A picture of this kind is not taken.",
  422: "The picture was refused.",
};

/**
 * What went wrong with a question, and what to do; `again` where asking once more may help.
 *
 * @param {unknown} error
 * @returns {{ title: string, advice: string, again: boolean }}
 */
export function explainPicture(error) {
  const failure = /** @type {import("../api.js").ApiError} */ (error);
  const title = TITLES[failure?.status];
  if (!title) return { ...explain(error), again: true };
  const reasons = failure.problems.map(({ reason }) => sentence(capital(reason))).join(" ");
  return { title, advice: sized(reasons || failure.detail) || "Choose another one.", again: false };
}

function capital(/** @type {string} */ words) {
  return words && words[0].toUpperCase() + words.slice(1);
}

/** What is known of a picture: `640 × 480 pixels, 45 kB. Made smaller, …`. @param {Picture} picture */
export function facts({ width, height, blob, note, shown }) {
  const size = width ? `${figure(width)} × ${figure(height)} pixels, ${bytes(blob.size)}` : bytes(blob.size);
  const hidden = shown ? "" : "This browser cannot show it; it is sent as it is.";
  return [`${size}.`, note, hidden].filter(Boolean).join(" ");
}
