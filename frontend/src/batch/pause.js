/**
 * Waiting that ends early where there is a reason to: the connection is back, the reader is back, the reader left.
 */

/**
 * Resolves after `ms` milliseconds, or when the connection comes back or the page is looked at again.
 *
 * @param {number} ms @param {AbortSignal} signal  Rejects with its reason.
 * @returns {Promise<void>}
 */
export function rest(ms, signal) {
  return until(signal, (done) => {
    const timer = setTimeout(done, ms);
    const look = () => document.visibilityState === "visible" && done();
    addEventListener("online", done);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      document.removeEventListener("visibilitychange", look);
    };
  });
}

/** Resolves when somebody can see the page. @param {AbortSignal} signal @returns {Promise<void>} */
export function seen(signal) {
  if (document.visibilityState === "visible") return Promise.resolve();
  return until(signal, (done) => {
    const look = () => document.visibilityState === "visible" && done();
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  });
}

/**
 * @param {AbortSignal} signal
 * @param {(done: () => void) => () => void} start  Begins to wait; answers how to stop.
 * @returns {Promise<void>}
 */
function until(signal, start) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const end = (/** @type {() => void} */ settle) => {
      stop();
      signal.removeEventListener("abort", leave);
      settle();
    };
    const leave = () => end(() => reject(signal.reason));
    const stop = start(() => end(resolve));
    signal.addEventListener("abort", leave);
  });
}
