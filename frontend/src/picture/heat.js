/**
 * Where a model looked: from the drops of its answer to colours, words and a table. Pure.
 */
import { figure } from "../words.js";

/**
 * @typedef {import("./send.js").Explanation} Explanation
 * @typedef {{ x: number, y: number, width: number, height: number }} Place
 */

/** A drop below this, of a probability from 0 to 1, is no sign of having looked there. */
const FAINT = 0.02;
/** A place is named where no part elsewhere comes to this share of its drop. */
const NEAR = 0.8;
const STRONGEST = 190;
/** What speaks for the answer is orange, what speaks against it blue: told apart by whoever sees no red or green. */
const COLORS = { for: [230, 97, 0], against: [26, 90, 200] };

/**
 * The part of a picture that the model was given, in pixels of the picture; it may reach beyond the picture's edge.
 *
 * @param {"stretch" | "crop" | "pad"} fit @param {number} width @param {number} height
 * @returns {Place}
 */
export function frameOf(fit, width, height) {
  if (fit === "stretch") return { x: 0, y: 0, width, height };
  const side = fit === "crop" ? Math.min(width, height) : Math.max(width, height);
  return { x: (width - side) / 2, y: (height - side) / 2, width: side, height: side };
}

/** RGBA of each part, row by row: the stronger the colour, the more its being covered changes. @param {number[][]} drops */
export function colorsOf(drops) {
  const cells = drops.flat();
  const most = Math.max(FAINT, ...cells.map(Math.abs));
  return new Uint8ClampedArray(
    cells.flatMap((drop) => [...(drop > 0 ? COLORS.for : COLORS.against), Math.round((Math.abs(drop) / most) * STRONGEST)]),
  );
}

/** What the map says, in a sentence or two. @param {Explanation} explanation */
export function told({ class: label, drops }) {
  const [most, row, column] = strongest(drops);
  if (most < FAINT) {
    return `Covering any one part changes little: the model judges the picture as a whole, or by several parts that say the same.`;
  }
  const place = placeIn(drops, row, column);
  const falls = `the probability of ${figure(label)} falls by`;
  const elsewhere = drops.flatMap((cells, y) => cells.filter((_, x) => placeIn(drops, y, x) !== place));
  if (Math.max(...elsewhere) >= NEAR * most) {
    return `It looked at several places, at none clearly most: with one of these parts covered, ${falls} at most ${points(most)}.`;
  }
  return `It looked most at the ${place}: with that part covered, ${falls} ${points(most)}.`;
}

/** Percentage points, row by row. @param {number[][]} drops */
export function pointsOf(drops) {
  return drops.map((row) => row.map(signed));
}

/** @returns {[number, number, number]} The largest drop, its row, its column. */
function strongest(/** @type {number[][]} */ drops) {
  let found = /** @type {[number, number, number]} */ ([-Infinity, 0, 0]);
  drops.forEach((row, y) => row.forEach((drop, x) => (found = drop > found[0] ? [drop, y, x] : found)));
  return found;
}

/** Which ninth of the picture a part is in, by its middle. */
function placeIn(/** @type {number[][]} */ drops, /** @type {number} */ y, /** @type {number} */ x) {
  const third = (/** @type {number} */ index, /** @type {number} */ count) => Math.floor(((index + 0.5) / count) * 3);
  const row = ["top", "middle", "bottom"][third(y, drops.length)];
  const column = ["left", "", "right"][third(x, drops[y].length)];
  return [row, column].filter(Boolean).join(" ");
}

function points(/** @type {number} */ share) {
  const value = Number((share * 100).toFixed(share < 0.1 ? 1 : 0));
  return `${figure(value)} percentage ${value === 1 ? "point" : "points"}`;
}

function signed(/** @type {number} */ drop) {
  const value = (drop * 100).toFixed(1);
  return value === "-0.0" ? "0.0" : value.replace("-", "−");
}
