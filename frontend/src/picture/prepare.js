/**
 * From a file to the picture that is sent: as it is wherever the API takes it so, else drawn anew and smaller.
 *
 * A picture that is sent as it is keeps every bit, as those the model has learnt from did. One that is drawn anew has
 * been turned upright by the browser, has lost its metadata, and is as large as any model needs.
 */
import { beginning, bytes, nameOf } from "../files.js";
import { ENOUGH, looksOf } from "./kinds.js";

/**
 * @typedef {object} Limits               What the schema of a model says of its pictures.
 * @property {number} size                Pixels along the side of what the model is given.
 * @property {"stretch" | "crop" | "pad"} fit
 * @property {number} max_bytes
 * @property {string[]} media_types
 *
 * @typedef {object} Picture
 * @property {string} name
 * @property {Blob} blob                  What is sent.
 * @property {number} width               Of what is sent, upright; 0 where the browser cannot tell.
 * @property {number} height
 * @property {HTMLCanvasElement | null} shown  A small copy to look at; null where the browser cannot show it.
 * @property {string} note                What was done to it; empty where nothing was.
 */

/** Pixels along the longer side of what is drawn anew. */
const LONGEST = 1024;
const SHOWN = 640;
/** More pixels than this the API does not decode, and so many the browser is not asked to. */
const MOST_TAKEN = 40_000_000;
const MOST_OPENED = 120_000_000;
const QUALITY = 0.92;
const NAMES = { "image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WebP", "image/gif": "GIF", "image/bmp": "BMP", "image/tiff": "TIFF" };

/** A file that is not sent; its message says why, and what would be. */
export class PictureError extends Error {}

/**
 * @param {File} file
 * @param {Limits} limits
 * @returns {Promise<Picture>}
 * @throws {PictureError} It is no picture, or none that can be sent.
 */
export async function prepare(file, limits) {
  const start = await beginning(file, ENOUGH);
  const looks = start && looksOf(start);
  const objection = objectionTo(file, looks, limits);
  if (objection || !looks) throw new PictureError(objection);
  const bitmap = await createImageBitmap(file).catch(() => null);
  try {
    const { width, height } = bitmap ?? { width: 0, height: 0 };
    const shown = bitmap && (await drawn(bitmap, SHOWN));
    const known = limits.media_types.includes(looks.type);
    const name = nameOf(file, "picture");
    if (known && file.size <= limits.max_bytes && width * height <= MOST_TAKEN) {
      // In memory, because a camera's file or one on a stick may be gone when it is sent.
      const blob = new Blob([await file.arrayBuffer()], { type: looks.type });
      return { name, blob, width, height, shown, note: "" };
    }
    if (!bitmap) throw new PictureError(known ? tooLarge(file, limits) : unknown(limits));
    const canvas = await drawn(bitmap, LONGEST);
    const blob = await packed(canvas, looks.type, limits.max_bytes);
    const note = `${known ? `Made smaller, from ${width} × ${height} pixels and ${bytes(file.size)}` : "Saved anew as a format that is taken"}.`;
    return { name, blob, width: canvas.width, height: canvas.height, shown, note };
  } finally {
    bitmap?.close();
  }
}

/** Why a file is not even opened; empty where it is. @param {File} file @param {import("./kinds.js").Looks | null} looks @param {Limits} limits */
function objectionTo(file, looks, limits) {
  if (looks === null) return "It cannot be read. Is it a folder, or has it been moved?";
  if (file.size === 0) return "It is empty.";
  if (looks.markup) return `It is markup such as SVG, not a picture of pixels. ${unknown(limits, "")}`;
  if (looks.moving) return "It is an animation. Choose a picture that stands still.";
  if (looks.type === "image/gif" && file.size > limits.max_bytes) return tooLarge(file, limits);
  if (looks.pixels > MOST_OPENED) return `It has ${Math.round(looks.pixels / 1e6)} million pixels. Choose a smaller one.`;
  return "";
}

function unknown(/** @type {Limits} */ { media_types }, before = "It is no picture that can be read. ") {
  return `${before}Choose one saved as ${formats(media_types)}.`;
}

function tooLarge(/** @type {File} */ { size }, /** @type {Limits} */ { max_bytes }) {
  return `It has ${bytes(size)}, and this browser cannot make it smaller. Choose one of at most ${bytes(max_bytes)}.`;
}

/** `JPEG, PNG or WebP`. @param {string[]} types */
export function formats(types) {
  const order = Object.keys(NAMES);
  const sorted = [...types].sort((a, b) => order.indexOf(a) - order.indexOf(b));
  return new Intl.ListFormat("en-GB", { type: "disjunction" }).format(sorted.map((each) => NAMES[each] ?? each));
}

/** Width and height with no side longer than `longest`, in the same proportion. @param {number} longest */
export function fitted(/** @type {number} */ width, /** @type {number} */ height, longest) {
  const scale = Math.min(1, longest / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** On white, as the API lays what is transparent. @param {ImageBitmap} bitmap @param {number} longest */
async function drawn(bitmap, longest) {
  const { width, height } = fitted(bitmap.width, bitmap.height, longest);
  const options = /** @type {const} */ ({ resizeWidth: width, resizeHeight: height, resizeQuality: "high" });
  const small = await createImageBitmap(bitmap, options);
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.fillStyle = "white";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(small, 0, 0);
  small.close();
  return canvas;
}

/** As PNG where the file kept every pixel too, unless that is too large; else as JPEG. */
async function packed(/** @type {HTMLCanvasElement} */ canvas, /** @type {string} */ type, /** @type {number} */ most) {
  const lossless = ["image/png", "image/bmp", "image/tiff"].includes(type);
  for (const kind of lossless ? ["image/png", "image/jpeg"] : ["image/jpeg"]) {
    const blob = await new Promise((/** @type {(blob: Blob | null) => void} */ done) => canvas.toBlob(done, kind, QUALITY));
    if (blob && blob.size <= most) return blob;
  }
  throw new PictureError("This browser cannot make it small enough. Choose a smaller one.");
}
