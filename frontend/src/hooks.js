/**
 * What belongs to no part of the page: loading, the address, one question at a time, what comes into view.
 */
import { useEffect, useRef, useState } from "preact/hooks";

/**
 * Loads once when mounted and again on `retry`; what arrives after leaving is dropped.
 *
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @returns {{ status: "loading" | "ready" | "failed", value: T | null, error: unknown, retry: () => void }}
 */
export function useLoad(load) {
  const [attempt, setAttempt] = useState(0);
  const [state, setState] = useState(/** @type {any} */ ({ status: "loading", value: null, error: null }));
  useEffect(() => {
    const leaving = new AbortController();
    const settle = (/** @type {object} */ next) =>
      leaving.signal.aborted || setState({ value: null, error: null, ...next });
    settle({ status: "loading" });
    load(leaving.signal).then(
      (value) => settle({ status: "ready", value }),
      (error) => settle({ status: "failed", error }),
    );
    return () => leaving.abort();
  }, [attempt]);
  return { ...state, retry: () => setAttempt((count) => count + 1) };
}

/** What stands behind the `#` of the address, decoded; follows the back button. */
export function useHash() {
  const [hash, setHash] = useState(readHash);
  useEffect(() => {
    const follow = () => setHash(readHash());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  return hash;
}

/**
 * Runs one call at a time: a new one, or leaving, aborts the one before.
 *
 * @returns {<T>(call: (signal: AbortSignal) => Promise<T>) => Promise<{ value: T } | { error: unknown } | null>}
 *   null when the call was overtaken.
 */
export function useLatest() {
  const running = useRef(/** @type {AbortController | null} */ (null));
  useEffect(() => () => running.current?.abort(), []);
  return async (call) => {
    running.current?.abort();
    const mine = new AbortController();
    running.current = mine;
    try {
      const value = await call(mine.signal);
      return mine.signal.aborted ? null : { value };
    } catch (error) {
      return mine.signal.aborted ? null : { error };
    }
  };
}

/** Brings the answer into view where it stands below the form, as on a phone. @param {HTMLElement | null} element */
export function reveal(element) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  requestAnimationFrame(() => element?.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "nearest" }));
}

function readHash() {
  const text = location.hash.slice(1);
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
