import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../src/api.js";
import { follow } from "../src/batch/follow.js";
import { createJobs } from "../src/batch/jobs.js";
import { memory } from "../src/batch/keep.js";
import { failureOf, UploadError } from "../src/batch/upload.js";
import { arranged, holds, listed, lost, objection, spoken, standing, stopped, titled } from "../src/batch/words.js";
import { beginning, bytes } from "../src/files.js";
import { fieldsOf } from "../src/schema.js";

const state = (more) => ({
  state: "waiting",
  awaiting: "start",
  progress: 0,
  rows: { read: 0, scored: 0, quarantined: 0 },
  model: { name: "iris", version: null },
  warnings: [],
  reason: null,
  preview: null,
  results: null,
  quarantine: null,
  ...more,
});

const job = (stage, more) => ({ key: "k", model: "iris", name: "a.csv", size: 2_000_000, sent: 0, stage, ...more });

/** Follows what `answers` say in turn; what was told, and how long was waited in between. */
async function followed(answers, signal = new AbortController().signal) {
  const told = [];
  const pauses = [];
  const ask = async () => {
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const end = await follow(
    ask,
    signal,
    { onState: (each) => told.push(each.state), onTrouble: (error) => told.push(error.kind ?? error.message) },
    { rest: async (ms) => void pauses.push(ms), seen: async () => {} },
  ).catch((error) => error);
  return { told, pauses, end };
}

test("a file that moves is asked for often, one that does not ever less, until it ends", async () => {
  const still = Array.from({ length: 8 }, () => state());
  const moving = [0.1, 0.2, 0.3].map((progress) => state({ state: "scoring", awaiting: null, progress }));
  const { told, pauses, end } = await followed([...still, ...moving, state({ state: "done", progress: 1 })]);
  assert.equal(end, undefined);
  assert.equal(told.at(-1), "done");
  assert.deepEqual(pauses.slice(0, 4), [1000, 1500, 2250, 3375]);
  assert.equal(pauses[7], 10_000);
  assert.deepEqual(pauses.slice(8), [1000, 1000, 1000]);
});

test("what passes is told and asked again, ever later and not before the API wants it", async () => {
  const busy = new ApiError("busy", { retryAfter: 12 });
  const answers = [new ApiError("network"), new ApiError("timeout"), busy, new ApiError("broken"), state({ state: "failed" })];
  const { told, pauses } = await followed(answers);
  assert.deepEqual(told, ["network", "timeout", "busy", "broken", "failed"]);
  assert.deepEqual(pauses, [2000, 4000, 12_000, 16_000]);
});

test("what will not change is not asked again", async () => {
  for (const kind of ["missing", "refused", "invalid"]) {
    const { told, end } = await followed([new ApiError(kind), state()]);
    assert.deepEqual([told, end.kind], [[], kind]);
  }
  const leaving = new AbortController();
  leaving.abort(new Error("left"));
  const { told } = await followed([new Error("aborted"), state()], leaving.signal);
  assert.deepEqual(told, []);
});

test("what S3 answers is one of a few failures, or none", () => {
  const kind = (status, code = "", message = "") => {
    const error = failureOf(status, `<Error><Code>${code}</Code><Message>${message}</Message></Error>`);
    return error && [error.kind, error.code];
  };
  assert.equal(failureOf(204, ""), null);
  assert.deepEqual(kind(400, "EntityTooLarge"), ["large", "EntityTooLarge"]);
  assert.deepEqual(kind(403, "AccessDenied", "Invalid according to Policy: Policy expired."), ["ended", "AccessDenied"]);
  assert.deepEqual(kind(400, "ExpiredToken"), ["ended", "ExpiredToken"]);
  assert.deepEqual(kind(403, "AccessDenied"), ["refused", "AccessDenied"]);
  assert.deepEqual(kind(503, "SlowDown"), ["busy", "SlowDown"]);
  assert.deepEqual(kind(400, "RequestTimeout"), ["busy", "RequestTimeout"]);
  assert.deepEqual(kind(400, "<b>odd</b>"), ["refused", "HTTP 400"]);
});

/** A storage as browsers have it, which may be full or forbidden. */
function storage(full = false) {
  const held = new Map();
  return {
    getItem: (key) => held.get(key) ?? null,
    setItem(key, value) {
      if (full) throw new Error("QuotaExceededError");
      held.set(key, value);
    },
  };
}

test("files are kept for the API they went to, newest first, and no more than fifty", () => {
  const one = storage();
  const kept = memory(() => one, "https://a.example/");
  const entry = (number) => ({ id: `id-of-sixteen-${number}`, model: "iris", name: `${number}.csv`, size: 1, sent: number });
  for (let number = 0; number < 60; number += 1) kept.keep(entry(number));
  kept.keep({ ...entry(58), name: "again.csv" });
  assert.equal(kept.all().length, 50);
  assert.deepEqual(kept.all().slice(0, 2).map(({ name }) => name), ["again.csv", "59.csv"]);
  kept.drop(entry(59).id);
  assert.equal(kept.all()[1].name, "57.csv");
  assert.deepEqual(memory(() => one, "https://b.example/").all(), []);
});

test("what was kept by something else, or cannot be kept, does no harm", () => {
  const odd = storage();
  const api = "https://a.example/";
  for (const text of ["{", "{}", "null", '[{"id": "../x"}]', '[{"id": "id-of-sixteen-0123", "model": 1}]', "[null]"]) {
    odd.setItem(`perennial.batches ${api}`, text);
    assert.deepEqual(memory(() => odd, api).all(), []);
  }
  const forbidden = () => {
    throw new Error("SecurityError");
  };
  for (const where of [() => storage(true), forbidden]) {
    const kept = memory(where, api);
    kept.keep({ id: "id-of-sixteen-0123", model: "iris", name: "a", size: 1, sent: 1 });
    assert.deepEqual(kept.all(), []);
  }
});

test("sizes read as in a file manager", () => {
  const sizes = [0, 1, 999, 1000, 1536, 999_999, 1_500_000, 1_000_000_000, 5e15];
  assert.deepEqual(sizes.map(bytes), [
    "0 bytes", "1 byte", "999 bytes", "1 kB", "1.54 kB", "1 MB", "1.5 MB", "1 GB", "5,000 TB",
  ]);
});

test("how far a file is sent is told with the time that is left, once there is any telling", () => {
  const sending = (share, since) => standing(job({ at: "sending", share, since, trouble: null, wait: 0 }), 60_000);
  assert.deepEqual(sending(0, 60_000), { look: "unknown", word: "sending", line: "Getting ready.", share: null });
  assert.equal(sending(0.25, 59_000).line, "25 %, 500 kB of 2 MB");
  assert.equal(sending(0.25, 50_000).line, "25 %, 500 kB of 2 MB, about 30 s left");
  assert.equal(sending(0.25, 0).line, "25 %, 500 kB of 2 MB, about 3 min left");
  assert.equal(sending(0.999, 0).line, "99 %, 2 MB of 2 MB, about 1 s left");
  assert.equal(sending(1, 0).line, "All of its 2 MB are sent; waiting for the answer.");
  const broken = { at: "sending", share: 0.5, since: 0, trouble: new UploadError("network"), wait: 2000 };
  assert.equal(
    standing(job(broken), 0).line,
    "The connection broke. It is sent again from its beginning in 2 seconds.",
  );
});

test("where a file stands is told by a word and a line", () => {
  const stands = (more, now = 0) => standing(job({ at: "following", state: state(more), asked: 0, trouble: null }), now);
  assert.equal(stands({}).word, "waiting");
  assert.match(stands({}, 301_000).line, /longer than it should/);
  assert.match(stands({ awaiting: "upload" }).line, /No file has arrived/);
  const rows = { read: 1200, scored: 1199, quarantined: 1 };
  assert.equal(stands({ state: "scoring", progress: 0.429, rows }).line, "42 %, 1,200 rows so far.");
  assert.deepEqual([stands({ state: "done", rows }).look, stands({ state: "done" }).look], ["warn", "ok"]);
  assert.equal(stands({ state: "failed" }).word, "failed");
});

test("what is said aloud leaves out what changes all the time", () => {
  const sending = (share) => spoken(job({ at: "sending", share, since: 0, trouble: null, wait: 0 }));
  assert.equal(sending(0.1), sending(0.9));
  const said = (more) => spoken(job({ at: "following", state: state(more), asked: 0, trouble: null }));
  assert.equal(said({ state: "scoring", progress: 0.1 }), said({ state: "scoring", progress: 0.9 }));
  assert.equal(said({ state: "done", rows: { read: 4, scored: 3, quarantined: 1 } }), "a.csv is done: 3 rows scored, 1 refused.");
  assert.equal(said({ state: "failed", reason: "No header." }), "a.csv failed. No header.");
});

test("each thing that stops a file has words of its own", () => {
  for (const kind of ["network", "busy", "large", "ended", "unreadable", "refused"]) {
    const { title, advice } = stopped(new UploadError(kind, "SomeCode"));
    assert.ok(title.endsWith(".") && advice.endsWith("."), kind);
  }
  const large = new ApiError("refused", { status: 413, detail: "A file has at most 1000000000 bytes." });
  assert.equal(stopped(large).advice, "A file has at most 1 GB.");
  const invalid = new ApiError("invalid", { status: 422, problems: [{ field: "keep", reason: "Is no column" }] });
  assert.equal(stopped(invalid).advice, "keep: Is no column.");
  assert.equal(lost(new ApiError("missing")).title, "The API does not know this file.");
  assert.equal(lost(new ApiError("network")).title, stopped(new ApiError("network")).title);
});

test("what is not worth sending is known by its first bytes", async () => {
  let input = "tabular";
  const why = async (name, ...parts) => {
    const file = new File(parts, name);
    return objection(file, await beginning(file, 4), input);
  };
  assert.equal(await why("a.csv", "PK,name\n1,2\n"), "");
  assert.match(await why("a.csv"), /is empty/);
  assert.match(await why("a.csv", new Uint8Array([0x50, 0x4b, 3, 4, 0])), /Save its table as CSV/);
  assert.match(await why("a.png", new Uint8Array([0x89, 0x50, 0x4e, 0x47])), /this model reads tables/);
  assert.match(objection(new File(["x"], "folder"), null, "tabular"), /Is it a folder/);
  input = "image";
  assert.equal(await why("a.zip", new Uint8Array([0x50, 0x4b, 3, 4, 0])), "");
  assert.match(await why("a.zip"), /is empty/);
});

test("the first rows show what the model says before what the file said", () => {
  const { head, rows } = arranged({
    columns: ["row", "id", "age", "prediction", "probability_0", "probability_1", "model_version"],
    rows: [["1", "7", "x".repeat(300), "0", "0.9", "0.1", "abc"], ["2"]],
  });
  assert.deepEqual(head, ["row", "prediction", "probability_0", "probability_1", "id", "age"]);
  assert.deepEqual(rows[0], ["1", "0", "0.9", "0.1", "7", `${"x".repeat(200)}…`]);
  assert.deepEqual(rows[1], ["2", "", "", "", "", ""]);
});

test("files of one name are told apart by the order they came in", () => {
  const jobs = ["a", "b", "a", "a"].map((name) => ({ name }));
  assert.deepEqual(jobs.map((_, index) => titled(jobs, index)), ["a (3)", "b", "a (2)", "a"]);
});

test("no name turns the words after it around, on the page or where it is sent", async () => {
  const file = new File(["x"], "a\u202evsc.\u2066csv");
  assert.equal(listed([file]), "avsc.csv");
  assert.match(objection(file, null, "tabular"), /^“avsc\.csv” cannot/);
  const asked = [];
  const batch = async (_, { name }) => {
    asked.push(name);
    throw new ApiError("refused");
  };
  let shown = [];
  const kept = { all: () => [], keep() {}, drop() {} };
  const desk = createJobs({ api: { batch }, kept, ways: {}, now: () => 0, onChange: (jobs) => (shown = jobs) });
  desk.add("iris", [file, new File(["x"], "\u202e")], { output: null, keep: true });
  await new Promise((done) => setTimeout(done));
  assert.deepEqual(shown.map(({ name }) => name), ["avsc.csv", "file"]);
  assert.deepEqual(asked, ["avsc.csv", "file"]);
});

test("what a column holds is put in words", () => {
  const kinds = {
    age: { type: "integer", minimum: 0 },
    free: { type: "number" },
    city: { type: "string", examples: ["Pune", "Goa"] },
    size: { enum: [..."abcdefgh"] },
    word: { type: "string" },
    day: { type: "string", "x-perennial-kind": "date" },
  };
  assert.deepEqual(fieldsOf({ type: "object", properties: kinds }).map(holds), [
    "Whole number, 0 or more", "Number", "Text, such as Pune, Goa", "a, b, c, d, e, f and 2 more", "Text",
    "Date, such as 2026-11-21",
  ]);
});
