import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../src/api.js";
import {
  explain,
  explainFeedback,
  feedbackThanks,
  figure,
  metricName,
  metricValue,
  moment,
  percent,
  purpose,
  titleOf,
} from "../src/words.js";

test("percentages never claim a certainty there is not", () => {
  const cases = [
    [0, "0 %"],
    [1, "100 %"],
    [0.5, "50.0 %"],
    [0.9999, "> 99.9 %"],
    [1e-9, "< 0.1 %"],
    [0.001, "0.1 %"],
    [0.999, "99.9 %"],
  ];
  for (const [share, words] of cases) assert.equal(percent(share), words);
});

test("figures keep what matters", () => {
  const cases = [
    [1234567.891, "1,234,567.891"],
    [0.000123456, "0.0001235"],
    [0, "0"],
    [-2.5, "-2.5"],
    [1e-7, "1e-7"],
    ["1", "1"],
  ];
  for (const [value, words] of cases) assert.equal(figure(value), words);
});

test("metrics show their interval where there is one", () => {
  assert.equal(metricValue({ value: 0.91834, low: 0.912, high: 0.9243 }), "0.918 (0.912 to 0.924)");
  assert.equal(metricValue({ value: 88.1234, low: 85.5, high: null }), "88.12");
  assert.deepEqual(["roc_auc", "mean_absolute_error", "f1"].map(metricName), ["ROC AUC", "Mean absolute error", "F1"]);
});

test("names become titles", () => {
  assert.equal(titleOf("student-depression"), "Student depression");
  assert.equal(titleOf(""), "");
});

test("a model's purpose is one sentence", () => {
  assert.equal(purpose({ task: "regression", classes: [] }, "cnt"), "Predicts cnt, a number.");
  assert.equal(purpose({ task: "binary", classes: ["0", "1"] }, "Depression"), "Predicts Depression: 0 or 1.");
  assert.equal(
    purpose({ task: "multiclass", classes: [..."0123456789"] }, ""),
    "Predicts the target, one of 10 classes.",
  );
});

test("a moment that is none stays as it is", () => {
  assert.equal(moment("yesterday"), "yesterday");
  assert.match(moment("2026-11-21T09:00:00+00:00"), /Nov 2026/);
});

test("each failure says what happened and what to do", () => {
  const kinds = ["network", "timeout", "busy", "invalid", "missing", "refused", "broken"];
  const words = kinds.map((kind) => explain(new ApiError(kind)));
  assert.equal(new Set(words.map((each) => each.title)).size, kinds.length);
  for (const { title, advice } of words) assert.ok(title.length > 10 && advice.length > 10);
  assert.match(explain(new ApiError("busy", { retryAfter: 7 })).advice, /in 7 seconds/);
  assert.match(explain(new ApiError("busy")).advice, /in a moment/);
  assert.equal(explain(new Error("cannot draw")).advice, "cannot draw");
});

test("who is asked for a name and has none is told so, unless the API says more", () => {
  for (const status of [401, 403]) {
    const { title, advice } = explain(new ApiError("refused", { status }));
    assert.equal(title, "This page may not do that here.");
    assert.match(advice, /only takes it from callers it knows/);
    assert.equal(explain(new ApiError("refused", { status, detail: "Said." })).advice, "Said.");
    const feedback = explainFeedback(new ApiError("refused", { status }));
    assert.match(feedback.words, /^Not taken\. This page may not do that here\./);
    assert.equal(feedback.again, false);
  }
  assert.match(explain(new ApiError("refused", { status: 415 })).advice, /status 415/);
});

test("each outcome of feedback has its own words, and says whether to try again", () => {
  const refused = (status) => explainFeedback(new ApiError("refused", { status, detail: "Said by the API." }));
  const final = [403, 409, 410].map(refused);
  assert.equal(new Set(final.map((each) => each.words)).size, 3);
  for (const each of final) assert.deepEqual([each.again, each.field], [false, false]);
  for (const error of [
    new ApiError("busy", { status: 503, retryAfter: 1 }),
    new ApiError("network"),
    new ApiError("timeout"),
  ]) {
    const { words, again } = explainFeedback(error);
    assert.match(words, /^Not stored\. /);
    assert.equal(again, true);
  }
  const problems = [{ field: "ground_truth", reason: "Input should be a finite number" }];
  assert.deepEqual(explainFeedback(new ApiError("invalid", { status: 422, problems })), {
    words: "Input should be a finite number",
    again: false,
    field: true,
  });
  assert.match(feedbackThanks({ status: "stored" }, "b"), /^Thank you\. That it was b is stored\.$/);
  assert.match(feedbackThanks({ status: "already_stored" }, 12.5), /12\.5 had been stored already; it counts once/);
});
