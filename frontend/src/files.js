/**
 * What a page can tell of a file before it is sent: how large it is, and how it begins. No DOM.
 */
import { count, figure } from "./words.js";

const UNITS = ["kB", "MB", "GB", "TB"];

/** A size as a reader knows it from a file manager: `1.4 MB`. @param {number} size */
export function bytes(size) {
  if (size < 1000) return count(size, "byte");
  let power = Math.min(Math.floor(Math.log10(size) / 3), UNITS.length);
  if (Number((size / 1000 ** power).toPrecision(3)) >= 1000 && power < UNITS.length) power += 1;
  return `${figure(Number((size / 1000 ** power).toPrecision(3)))} ${UNITS[power - 1]}`;
}

/** Sizes in a sentence of the API, as everywhere else on a page. @param {string} detail */
export function sized(detail) {
  return detail.replace(/([\d,]+) bytes/g, (_, digits) => bytes(Number(digits.replaceAll(",", ""))));
}

/** The first bytes of a file, or null where it cannot be read. @param {Blob} file @param {number} length */
export async function beginning(file, length) {
  try {
    return new Uint8Array(await file.slice(0, length).arrayBuffer());
  } catch {
    return null;
  }
}

/**
 * What a file is called, for a reader: without what would turn the words after it around.
 *
 * @param {{ name: string }} file @param {string} [nameless]  Where nothing else is left.
 */
export function nameOf(file, nameless = "file") {
  return file.name.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "") || nameless;
}
