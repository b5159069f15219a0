/**
 * The client of the API: paths, time limits, and every failure as one `ApiError`. No DOM.
 */

/**
 * `network`: no answer at all. `timeout`: none in time. `busy`: asked to come back (429, 502, 503, 504).
 * `invalid`: the record was refused (422). `missing`: 404. `refused`: any other 4xx. `broken`: anything else,
 * an unreadable answer included.
 * @typedef {"network" | "timeout" | "busy" | "invalid" | "missing" | "refused" | "broken"} FailureKind
 *
 * @typedef {typeof globalThis.fetch} Fetch
 *
 * @typedef {{ field: string, reason: string }} FieldProblem
 *
 * @typedef {object} Prediction
 * @property {string | number} prediction
 * @property {Record<string, number> | null} [probabilities]  Class -> probability; a regression has none.
 * @property {string} prediction_id
 * @property {string | null} [feedback_token]  What lets this reader say what turned out true; null where nobody may.
 * @property {{ name: string, version: string, digest: string, dataset: string }} model
 *
 * @typedef {{ url: string, fields: Record<string, string>, max_bytes: number, expires_at: string }} UploadForm
 *
 * @typedef {object} Batch     What is answered to who has a file to be scored.
 * @property {string} id       A secret: who holds it can read what comes of the file.
 * @property {UploadForm} upload
 *
 * @typedef {{ url: string, name: string, size: number, media_type: string, expires_at: string }} Link
 *
 * @typedef {object} BatchState
 * @property {"waiting" | "scoring" | "joining" | "done" | "failed"} state
 * @property {"upload" | "start" | null} awaiting  What a file that waits is waiting for.
 * @property {number} progress                     From 0 to 1.
 * @property {{ read: number, scored: number, quarantined: number }} rows
 * @property {{ name: string, version: string | null }} model
 * @property {string[]} warnings
 * @property {string | null} reason                Why it failed.
 * @property {{ columns: string[], rows: string[][] } | null} preview
 * @property {Link | null} results
 * @property {Link | null} quarantine
 */

const TIMEOUT = 20_000;
/** What every prediction holds. */
export const ANSWER = ["prediction", "model"];

/** A call that did not succeed, with what the API's problem document (RFC 9457) said. */
export class ApiError extends Error {
  /**
   * @param {FailureKind} kind
   * @param {object} [more]
   * @param {number} [more.status]
   * @param {string} [more.detail]
   * @param {FieldProblem[]} [more.problems]
   * @param {string} [more.requestId]
   * @param {number} [more.retryAfter]  In seconds; 0 where the API did not say.
   */
  constructor(kind, { status = 0, detail = "", problems = [], requestId = "", retryAfter = 0 } = {}) {
    super(detail || kind);
    this.name = "ApiError";
    this.kind = kind;
    this.status = status;
    this.detail = detail;
    this.problems = problems;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

/**
 * A client of the API at `base`, which may carry a path.
 *
 * @param {string} base
 * @param {{ fetch?: Fetch, timeout?: number }} [options]  `timeout` in milliseconds a call.
 */
export function connect(base, { fetch = globalThis.fetch.bind(globalThis), timeout = TIMEOUT } = {}) {
  const root = base.replace(/\/+$/, "");
  const path = (/** @type {string} */ model) => `${root}/models/${encodeURIComponent(model)}`;
  const call = (/** @type {string} */ url, /** @type {RequestInit} */ init, /** @type {string[]} */ ...keys) =>
    request(fetch, url, init, timeout, keys);
  return {
    docs: `${root}/docs`,
    /** Where a model is asked. @param {string} model */
    asked: (model) => `${path(model)}/predict`,
    /** @param {AbortSignal} [signal] */
    models: (signal) => call(`${root}/models`, { signal }, "models"),
    /** @param {string} model @param {AbortSignal} [signal] */
    model: (model, signal) => call(path(model), { signal }, "name", "version"),
    /** @param {string} model @param {AbortSignal} [signal] */
    schema: (model, signal) => call(`${path(model)}/schema`, { signal }),
    /** @param {string} model @param {object} record @param {AbortSignal} [signal] @returns {Promise<Prediction>} */
    predict: (model, record, signal) =>
      call(`${path(model)}/predict`, posting(record, signal), ...ANSWER),
    /**
     * @param {string} model @param {{ prediction_id: string, feedback_token: string, ground_truth: string | number }} label
     * @param {AbortSignal} [signal]
     */
    feedback: (model, label, signal) => call(`${path(model)}/feedback`, posting(label, signal)),
    /**
     * @param {string} model @param {{ name: string, size: number, output: string | null, keep: boolean }} wanted
     * @param {AbortSignal} [signal] @returns {Promise<Batch>}
     */
    batch: (model, wanted, signal) => call(`${path(model)}/batches`, posting(wanted, signal), "id", "upload"),
    /** @param {string} model @param {string} id @param {AbortSignal} [signal] @returns {Promise<BatchState>} */
    batchState: (model, id, signal) =>
      call(`${path(model)}/batches/${encodeURIComponent(id)}`, { signal, cache: "no-store" }, "state", "rows"),
  };
}

/** @typedef {ReturnType<typeof connect>} Api */

/**
 * Where the API is, as `config.json` beside the page says.
 *
 * @param {string} page  Address of the page; a relative `api` is read against it.
 * @param {{ fetch?: Fetch, timeout?: number, signal?: AbortSignal }} [options]
 * @returns {Promise<string>}
 */
export async function locate(page, { fetch = globalThis.fetch.bind(globalThis), timeout = TIMEOUT, signal } = {}) {
  const config = await request(fetch, new URL("config.json", page).href, { cache: "no-cache", signal }, timeout, []);
  if (typeof config.api !== "string" || !URL.canParse(config.api, page)) {
    throw new ApiError("broken", { detail: "config.json does not say where the API is." });
  }
  return new URL(config.api, page).href;
}

/** @param {object} body @param {AbortSignal} [signal] @returns {RequestInit} */
function posting(body, signal) {
  return { signal, method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

/** One call; what it answers must be an object that holds `keys`. */
async function request(fetch, url, init, timeout, keys) {
  const limit = AbortSignal.timeout(timeout);
  const signal = init.signal ? AbortSignal.any([init.signal, limit]) : limit;
  try {
    const response = await fetch(url, { ...init, signal, credentials: "omit", referrerPolicy: "no-referrer" });
    return read(response.status, await response.text(), response.headers.get("Retry-After"), keys);
  } catch (error) {
    if (error instanceof ApiError || init.signal?.aborted) throw error;
    throw new ApiError(limit.aborted ? "timeout" : "network");
  }
}

/**
 * What the API answered.
 *
 * @param {number} status @param {string} text @param {string | null} retryAfter @param {string[]} keys  It must hold these.
 * @throws {ApiError} where it is a failure, or nothing that this API answers.
 */
export function read(status, text, retryAfter, keys) {
  const body = json(text);
  if (status < 200 || status > 299) {
    throw new ApiError(kindOf(status), {
      status,
      detail: typeof body?.detail === "string" ? body.detail : "",
      problems: fieldProblems(body),
      requestId: typeof body?.request_id === "string" ? body.request_id : "",
      retryAfter: Number(retryAfter) || 0,
    });
  }
  if (typeof body !== "object" || body === null || !keys.every((key) => body[key] !== undefined)) {
    throw new ApiError("broken", { status, detail: "The answer is not one of Perennial's API." });
  }
  return body;
}

/** A body as JSON, or null where it is none: an error page of a proxy is not JSON. @param {string} text */
function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @returns {FailureKind} */
function kindOf(status) {
  if (status === 422) return "invalid";
  if (status === 404) return "missing";
  if ([429, 502, 503, 504].includes(status)) return "busy";
  return status >= 400 && status < 500 ? "refused" : "broken";
}

/** @returns {FieldProblem[]} */
function fieldProblems(problem) {
  const errors = Array.isArray(problem?.errors) ? problem.errors : [];
  return errors
    .filter((each) => typeof each?.field === "string")
    .map((each) => ({ field: each.field, reason: typeof each.reason === "string" ? each.reason : "is not accepted" }));
}
