/**
 * Asks for the state of one file until it ends: often while it moves, seldom while it does not, never unseen.
 */
import { ApiError } from "../api.js";

/** @typedef {import("../api.js").BatchState} BatchState */

const FIRST = 1_000;
const SLOWEST = 10_000;
const SLOWEST_IN_TROUBLE = 30_000;
const FINAL = new Set(["missing", "refused", "invalid"]);
const ENDS = new Set(["done", "failed"]);

/**
 * Resolves when the file has ended, rejects where asking again cannot help (or with the signal's reason).
 *
 * @param {(signal: AbortSignal) => Promise<BatchState>} ask
 * @param {AbortSignal} signal
 * @param {object} told
 * @param {(state: BatchState) => void} told.onState
 * @param {(error: unknown) => void} told.onTrouble  It is asked again by itself.
 * @param {object} ways
 * @param {(ms: number, signal: AbortSignal) => Promise<void>} ways.rest
 * @param {(signal: AbortSignal) => Promise<void>} ways.seen
 */
export async function follow(ask, signal, { onState, onTrouble }, { rest, seen }) {
  let pause = FIRST;
  let failures = 0;
  let before = "";
  for (;;) {
    await seen(signal);
    const asked = await attempt(ask, signal);
    if ("state" in asked) {
      failures = 0;
      onState(asked.state);
      if (ENDS.has(asked.state.state)) return;
      const now = standing(asked.state);
      pause = now === before ? Math.min(pause * 1.5, SLOWEST) : FIRST;
      before = now;
    } else {
      failures += 1;
      onTrouble(asked.error);
      const asksFor = asked.error instanceof ApiError ? asked.error.retryAfter * 1000 : 0;
      pause = Math.max(asksFor, Math.min(FIRST * 2 ** failures, SLOWEST_IN_TROUBLE));
    }
    await rest(pause, signal);
  }
}

/** @returns {Promise<{ state: BatchState } | { error: unknown }>} */
async function attempt(ask, /** @type {AbortSignal} */ signal) {
  try {
    return { state: await ask(signal) };
  } catch (error) {
    if (signal.aborted || (error instanceof ApiError && FINAL.has(error.kind))) throw error;
    return { error };
  }
}

/** What moves while a file is scored. */
function standing(/** @type {BatchState} */ { state, awaiting, progress, rows }) {
  return [state, awaiting, progress, rows.read].join(" ");
}
