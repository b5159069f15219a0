import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { ApiError, connect, locate } from "../src/api.js";

/** A server that answers what the path asks of it, and remembers what it was sent. */
const seen = [];
const server = createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  seen.push({ method: request.method, url: request.url, type: request.headers["content-type"], body });
  const answer = ANSWERS[request.url];
  if (answer === "hang") return;
  if (answer === "cut") return request.socket.destroy();
  const [status, content, headers] = answer ?? [404, { detail: "No such route." }, {}];
  response.writeHead(status, headers);
  response.end(typeof content === "string" ? content : JSON.stringify(content));
});
const invalid = {
  type: "urn:perennial:problem:invalid-record",
  status: 422,
  detail: "The record does not fit.",
  request_id: "r-1",
  errors: [{ field: "Age", reason: "Too old" }, { field: "b" }, { reason: "no field" }, null],
};
const ANSWERS = {
  "/p/models": [200, { models: [] }],
  "/p/models/a%2Fb%20c": [200, { name: "a/b c", version: "1" }],
  "/p/models/m/predict": [200, { prediction: 1, model: {} }],
  "/p/models/m/feedback": [202, { status: "stored", prediction_id: "p" }],
  "/p/models/bad/predict": [422, invalid],
  "/p/models/busy": [503, { detail: "The model cannot be read." }, { "Retry-After": "7" }],
  "/p/models/gone": [404, { detail: "No such model." }],
  "/p/models/big": [413, {}],
  "/p/models/bug": [500, "<html>oops</html>"],
  "/p/models/page": [200, "<html>"],
  "/p/models/other": [200, { hello: 1 }],
  "/p/models/slow": "hang",
  "/p/models/cut": "cut",
  "/site/config.json": [200, { api: "http://api.example/base/" }],
  "/near/config.json": [200, { api: "../api" }],
  "/none/config.json": [200, {}],
};
let origin;
let api;
before(async () => {
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  origin = `http://127.0.0.1:${server.address().port}`;
  api = connect(`${origin}/p/`, { timeout: 2000 });
});
after(() => {
  server.closeAllConnections();
  server.close();
});

/** The ApiError a call ends with. */
async function failure(promise) {
  const error = await promise.then(
    () => assert.fail("it succeeded"),
    (caught) => caught,
  );
  assert.ok(error instanceof ApiError, String(error));
  return error;
}

test("paths keep the base and escape the model", async () => {
  assert.deepEqual(await api.models(), { models: [] });
  assert.equal((await api.model("a/b c")).name, "a/b c");
  assert.equal(api.docs, `${origin}/p/docs`);
});

test("a record is posted as JSON", async () => {
  await api.predict("m", { "Work/Study Hours": 7, CGPA: null });
  const { method, type, body } = seen.at(-1);
  assert.deepEqual([method, type, body], ["POST", "application/json", '{"Work/Study Hours":7,"CGPA":null}']);
});

test("ground truth is posted with its token", async () => {
  const label = { prediction_id: "p", feedback_token: "t", ground_truth: 1.5 };
  assert.deepEqual(await api.feedback("m", label), { status: "stored", prediction_id: "p" });
  const { method, type, body } = seen.at(-1);
  assert.deepEqual([method, type, JSON.parse(body)], ["POST", "application/json", label]);
});

test("a refused record names its fields", async () => {
  const error = await failure(api.predict("bad", {}));
  assert.deepEqual(
    [error.kind, error.status, error.detail, error.requestId],
    ["invalid", 422, "The record does not fit.", "r-1"],
  );
  assert.deepEqual(error.problems, [
    { field: "Age", reason: "Too old" },
    { field: "b", reason: "is not accepted" },
  ]);
});

test("statuses become kinds", async () => {
  const busy = await failure(api.model("busy"));
  assert.deepEqual([busy.kind, busy.retryAfter, busy.detail], ["busy", 7, "The model cannot be read."]);
  assert.equal((await failure(api.model("gone"))).kind, "missing");
  assert.equal((await failure(api.model("big"))).kind, "refused");
  assert.equal((await failure(api.model("bug"))).kind, "broken");
});

test("an answer that is not the API's is an error, not a crash", async () => {
  assert.equal((await failure(api.model("page"))).kind, "broken");
  assert.equal((await failure(api.model("other"))).kind, "broken");
});

test("no answer and no answer in time are told apart", async () => {
  assert.equal((await failure(api.model("cut"))).kind, "network");
  assert.equal((await failure(connect(`${origin}/p`, { timeout: 150 }).model("slow"))).kind, "timeout");
});

test("a call that was given up stays given up", async () => {
  const leaving = new AbortController();
  const call = api.model("slow", leaving.signal);
  leaving.abort();
  await assert.rejects(call, { name: "AbortError" });
});

test("config.json beside the page says where the API is", async () => {
  assert.equal(await locate(`${origin}/site/index.html`), "http://api.example/base/");
  assert.equal(await locate(`${origin}/near/`), `${origin}/api`);
  assert.match((await failure(locate(`${origin}/none/`))).detail, /config\.json/);
});
