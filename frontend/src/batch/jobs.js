/**
 * The files of this page: sent one after another, followed side by side, found again after the page was loaded again.
 */
import { nameOf } from "../files.js";
import { follow } from "./follow.js";
import { sendFile, UploadError } from "./upload.js";

/**
 * @typedef {import("../api.js").Api} Api
 * @typedef {import("../api.js").BatchState} BatchState
 *
 * @typedef {{ output: string | null, keep: boolean }} Options  How a file is to come back.
 *
 * `queued`: another file is being sent. `sending`: `share` of it has been since `since`; after `trouble`, it is sent
 * again in `wait` milliseconds. `unsent`: it did not arrive. `following`: it did, as far as is known; `state` is null
 * until the API has said how far it is, as of `asked`. `lost`: the API says it knows no such file.
 * @typedef {{ at: "queued" | "cancelled" }
 *   | { at: "sending", share: number, since: number, trouble: UploadError | null, wait: number }
 *   | { at: "unsent", error: unknown }
 *   | { at: "following", state: BatchState | null, asked: number, trouble: unknown }
 *   | { at: "lost", error: unknown }} Stage
 *
 * @typedef {object} Job
 * @property {string} key    Of this page alone.
 * @property {string} model
 * @property {string} name
 * @property {number} size   In bytes.
 * @property {string} id     What the API knows it by; empty until it does.
 * @property {number} sent   When it was put in, in milliseconds since 1970.
 * @property {boolean} held  Whether the page still holds the file, and could send it again.
 * @property {Stage} stage
 *
 * @typedef {{ file: File, options: Options, batch: import("../api.js").Batch | null }} Held
 */

/** What may stand in the way for a while: the form that was signed is as good as before. */
const PASSING = new Set(["network", "busy"]);

/**
 * @param {object} needs
 * @param {Api} needs.api
 * @param {import("./keep.js").Memory} needs.kept
 * @param {import("./upload.js").Ways & { seen: (signal: AbortSignal) => Promise<void> }} needs.ways
 * @param {() => number} needs.now                   In milliseconds since 1970.
 * @param {(jobs: Job[]) => void} needs.onChange
 */
export function createJobs({ api, kept, ways, now, onChange }) {
  /** @type {Job[]} */
  let jobs = kept.all().map((each) => ({ ...each, key: each.id, held: false, stage: asking() }));
  const held = new Map(/** @type {[string, Held][]} */ ([]));
  const running = new Map(/** @type {[string, AbortController][]} */ ([]));
  let count = 0;
  let busy = false;

  function asking() {
    return /** @type {Stage} */ ({ at: "following", state: null, asked: now(), trouble: null });
  }
  const find = (/** @type {string} */ key) => jobs.find((each) => each.key === key);
  const replace = (/** @type {Job[]} */ next) => {
    jobs = next;
    onChange(jobs);
  };
  const change = (/** @type {string} */ key, /** @type {Partial<Job>} */ more) =>
    replace(jobs.map((each) => (each.key === key ? { ...each, ...more } : each)));
  const stage = (/** @type {string} */ key, /** @type {Stage} */ next) => change(key, { stage: next });
  const begin = (/** @type {string} */ key) => {
    running.get(key)?.abort();
    const leaving = new AbortController();
    running.set(key, leaving);
    return leaving.signal;
  };

  /** Sends what is queued, one file at a time: side by side, each would only be slower. */
  async function work() {
    if (busy) return;
    busy = true;
    for (let next = queued(); next; next = queued()) await send(next);
    busy = false;
  }
  const queued = () => jobs.find((each) => each.stage.at === "queued");

  async function send(/** @type {Job} */ { key, model, name, size }) {
    const signal = begin(key);
    const mine = /** @type {Held} */ (held.get(key));
    const sending = (/** @type {object} */ more) =>
      stage(key, { at: "sending", share: 0, since: now(), trouble: null, wait: 0, ...more });
    sending({});
    try {
      const batch = (mine.batch ??= await api.batch(model, { name, size, ...mine.options }, signal));
      const { id, upload } = batch;
      change(key, { id });
      kept.keep({ id, model, name, size, sent: now() });
      if (size > upload.max_bytes) throw new UploadError("large");
      let since = now();
      await sendFile(upload, mine.file, signal, {
        onProgress: (share) => sending({ share, since }),
        onTrouble: (trouble, wait) => {
          sending({ trouble, wait });
          since = now() + wait;
        },
        arrived: async (leaving) => hasArrived(await api.batchState(model, id, leaving).catch(() => null)),
      }, ways);
    } catch (error) {
      return unsent(key, error, signal);
    }
    held.delete(key);
    change(key, { held: false });
    watch(key);
  }

  function unsent(/** @type {string} */ key, /** @type {unknown} */ error, /** @type {AbortSignal} */ signal) {
    const mine = held.get(key);
    const passing = !signal.aborted && error instanceof UploadError && PASSING.has(error.kind);
    if (!passing) {
      kept.drop(find(key)?.id ?? "");
      if (mine) mine.batch = null;
    }
    stage(key, signal.aborted ? { at: "cancelled" } : { at: "unsent", error });
  }

  async function watch(/** @type {string} */ key) {
    const signal = begin(key);
    stage(key, asking());
    const { model, id } = /** @type {Job} */ (find(key));
    const onState = (/** @type {BatchState} */ state) =>
      stage(key, { at: "following", state, asked: now(), trouble: null });
    const onTrouble = (/** @type {unknown} */ trouble) => {
      const current = find(key)?.stage;
      if (current?.at === "following") stage(key, { ...current, trouble });
    };
    try {
      await follow((leaving) => api.batchState(model, id, leaving), signal, { onState, onTrouble }, ways);
    } catch (error) {
      if (!signal.aborted) stage(key, { at: "lost", error });
    }
  }

  return {
    /** Tells of the files that are known, and goes on following them. */
    start() {
      replace(jobs);
      for (const { key } of jobs) watch(key);
    },
    /** Ends everything that runs. */
    stop() {
      for (const leaving of running.values()) leaving.abort();
    },
    /** @param {string} model @param {File[]} files @param {Options} options @returns {string} The key of the first. */
    add(model, files, options) {
      const added = files.map((file) => {
        const key = `file-${(count += 1)}`;
        held.set(key, { file, options, batch: null });
        // No more than the API takes, and nothing that is no Unicode.
        const name = nameOf(file).slice(0, 255).toWellFormed();
        return /** @type {Job} */ ({ key, model, name, size: file.size, id: "", sent: now(), held: true, stage: { at: "queued" } });
      });
      replace([...added, ...jobs]);
      work();
      return added[0].key;
    },
    /** Stops sending a file. @param {string} key */
    cancel(key) {
      if (find(key)?.stage.at === "queued") stage(key, { at: "cancelled" });
      else running.get(key)?.abort();
    },
    /** Sends a file again that did not arrive, or asks again after one that was lost. @param {string} key */
    again(key) {
      if (!held.has(key)) return void watch(key);
      stage(key, { at: "queued" });
      work();
    },
    /** Takes a file off the page, and with it the only way to what came of it. @param {string} key */
    remove(key) {
      running.get(key)?.abort();
      kept.drop(find(key)?.id ?? "");
      held.delete(key);
      replace(jobs.filter((each) => each.key !== key));
    },
    /** Asks for the state of a file that has ended, with links that last anew. @param {string} key */
    async refresh(key) {
      const { model, id } = /** @type {Job} */ (find(key));
      const state = await api.batchState(model, id);
      stage(key, { at: "following", state, asked: now(), trouble: null });
      return state;
    },
  };
}

/** @typedef {ReturnType<typeof createJobs>} Jobs */

/** @param {BatchState | null} state  Null where it is not known. */
function hasArrived(state) {
  return state !== null && state.awaiting !== "upload";
}
