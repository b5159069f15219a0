import assert from "node:assert/strict";
import { test } from "node:test";

import {
  byChance,
  drawable,
  driftLines,
  firstMetric,
  LINES,
  newest,
  promotions,
  shownFeatures,
  span,
  times,
  union,
} from "../src/model/columns.js";
import { address, fileOf } from "../src/model/data.js";
import { findings, overtaken } from "../src/model/standing.js";
import { better, chance, interval, number, parts, share } from "../src/model/text.js";
import { reportOf } from "../src/report/path.js";
import { count, sentence } from "../src/words.js";

const feature = (name, ...value) => ({ feature: name, value, threshold: 0.1 });

test("an address names a model and a version, or nothing", () => {
  const cases = [
    ["shop-churn", "shop-churn", ""],
    ["iris/0123456789abcdef", "iris", "0123456789abcdef"],
    ["iris/../x", "iris", ""],
    ["../secret", "", ""],
    ["Iris", "", ""],
    ["a".repeat(41), "", ""],
    ["", "", ""],
  ];
  for (const [hash, model, version] of cases) assert.deepEqual(address(hash), { model, version }, hash);
});

test("a file of a version never leaves its folder", () => {
  assert.equal(fileOf("iris", "0123", "roc.svg"), "data/iris/versions/0123/roc.svg");
  assert.equal(fileOf("iris", "0123", "../../x"), "data/iris/versions/0123/..%2F..%2Fx");
});

test("at first the farthest features are shown, and any other when asked for", () => {
  const drift = Array.from({ length: 9 }, (_, index) => feature(`f${index}`, 0.9, index / 10));
  assert.deepEqual(
    shownFeatures(drift, "").map((each) => each.feature),
    ["f8", "f7", "f6", "f5", "f4", "f3"],
  );
  assert.equal(shownFeatures(drift, "").length, LINES);
  assert.deepEqual(
    shownFeatures(drift, "f0").map((each) => each.feature),
    ["f0"],
  );
  assert.equal(shownFeatures([feature("never", null), feature("known", 0.2)], "")[0].feature, "known");
});

test("one limit is drawn for each threshold", () => {
  const lines = driftLines([feature("a", 1, 2), feature("b", 3, null)]);
  assert.deepEqual(
    lines.map((each) => [each.style ?? "line", ...each.values]),
    [
      ["line", 1, 2],
      ["line", 3, null],
      ["limit", 0.1, 0.1],
    ],
  );
  assert.deepEqual(driftLines([]), []);
});

test("times are seconds, and only what moved the champion is marked", () => {
  const page = {
    passes: [{ until: "2026-11-21T00:00:00Z" }],
    events: [
      { at: "2026-11-21T02:00:00Z", generation: 2 },
      { at: "2026-11-21T01:30:00Z", generation: null },
      { at: "2026-11-21T01:00:00+01:00", generation: 1 },
    ],
  };
  const midnight = Date.UTC(2026, 10, 21) / 1000;
  assert.deepEqual(times(page), [midnight]);
  assert.deepEqual(promotions(page), [midnight, midnight + 7200]);
});

test("what is not known is a dash, and never 0", () => {
  assert.deepEqual(
    [number(null), number(undefined), share(null), chance(null), interval(undefined, "accuracy")],
    Array(5).fill("–"),
  );
  assert.deepEqual([number(0), share(0), chance(0), chance(0.04)], ["0", "0 %", "< 0.0001", "0.0400"]);
  assert.equal(interval({ value: 0.9, low: 0.85, high: 0.95 }, "accuracy"), "0.9 (0.85 to 0.95)");
  assert.equal(interval({ value: 0.9, low: null, high: null }, "accuracy"), "0.9");
  assert.equal(newest([1, 2, null]), 2);
  assert.equal(newest([null]), null);
});

test("words are put together", () => {
  assert.equal(better("log_loss", true), "Log loss; lower is better");
  assert.deepEqual([count(1, "label"), count(1200, "label")], ["1 label", "1,200 labels"]);
  assert.deepEqual(
    [sentence("only 12 labels of 200"), sentence("Done."), sentence("")],
    ["only 12 labels of 200.", "Done.", ""],
  );
  assert.deepEqual(union(["b", "a"], ["a", "c"]), ["b", "a", "c"]);
});

const BASE = "https://site.example/bucket/report.html";

test("a report of this site is opened, beside the page and nowhere else", () => {
  for (const run of ["2026-11-21T03-00-00", "scheduled__2026-11-21T03.00-1a2b3c4d"]) {
    const path = `data/shop-churn/monitor/${run}/drift.html`;
    assert.deepEqual(reportOf(path, BASE), {
      url: `https://site.example/bucket/${path}`,
      model: "shop-churn",
      run,
      name: "drift",
    });
  }
  assert.ok(reportOf("data/iris/monitor/1/quality.html", "http://127.0.0.1:9000/report.html?x=/a/b"));
});

test("anything else is no report", () => {
  const good = "data/iris/monitor/run-1/drift.html";
  const wrong = [
    "",
    `/${good}`,
    `./${good}`,
    `//evil.example/${good}`,
    `https://evil.example/${good}`,
    `javascript:alert(1)//${good}`,
    "data/iris/versions/0123456789abcdef/card.html",
    "data/iris/monitor/run-1/monitor.json",
    "data/iris/monitor/../../index.html",
    "data/iris/monitor/..%2f..%2findex.html",
    "data/iris/monitor/run%2d1/drift.html",
    "data/iris/monitor/./drift.html",
    "data/iris/monitor/../drift.html",
    "data/iris/monitor/a..b/drift.html",
    "data/iris/monitor/run-1/../drift.html",
    "data/iris/monitor/run-1/x/drift.html",
    "data/iris/monitor/run-1/drift.html?x=1",
    "data/iris/monitor/run-1/drift.html#x",
    "data/iris/monitor/run-1/drift.htm",
    "data/iris/monitor/run-1/drift.html\n",
    "data\\iris\\monitor\\run-1\\drift.html",
    "data/IRIS/monitor/run-1/drift.html",
    `data/${"a".repeat(41)}/monitor/run-1/drift.html`,
    "data/iris/monitor/run-1/.html",
    "data/iris/monitor/rün/drift.html",
  ];
  for (const hash of wrong) assert.equal(reportOf(hash, BASE), null, hash);
});

const onePass = (more) => ({
  champion: "a".repeat(16),
  measured: "a".repeat(16),
  performance: "decay",
  performance_why: "0.27 < 0.9",
  drift: "ok",
  drift_why: "0 of 3 moved",
  quality: "ok",
  quality_reasons: [],
  rows: 1,
  contradicted: 0,
  ...more,
});

test("findings are of the version that was measured, and unknown of one that no pass has seen", () => {
  const pass = onePass({});
  const before = { champion: "a".repeat(16), passes: [pass] };
  assert.deepEqual(
    findings(before, pass).map((each) => [each.look, each.word, each.version?.slice(0, 2)]),
    [
      ["bad", "decay", "aa"],
      ["ok", "fine", "aa"],
      ["ok", "fine", undefined],
    ],
  );
  const after = { champion: "b".repeat(16), passes: [pass] };
  assert.ok(overtaken(after) && !overtaken(before));
  const [performance, drift] = findings(after, pass);
  assert.deepEqual([performance.word, drift.word], ["unknown", "unknown"]);
  assert.equal(performance.why, "No pass since it was promoted. Before it: decay, 0.27 < 0.9.");
  const fine = onePass({ performance: "ok", champion: "b".repeat(16) });
  assert.equal(findings({ champion: "b".repeat(16), passes: [fine] }, fine)[0].word, "unknown");
  assert.ok(!overtaken({ champion: null, passes: [] }));
});

test("labels that disagree are never fine", () => {
  const pass = onePass({ contradicted: 2 });
  const data = findings({ champion: pass.champion, passes: [pass] }, pass)[2];
  assert.deepEqual([data.look, data.word, data.why], ["warn", "labels disagree", "2 contradicted labels."]);
});

test("no interval goes where its metric cannot", () => {
  const wide = { value: 0.99, low: -0.2, high: 1.04 };
  assert.equal(interval(wide, "accuracy"), "0.99 (0 to 1)");
  assert.equal(interval(wide, "log_loss"), "0.99 (0 to 1.04)");
  assert.equal(interval(wide, "r2"), "0.99 (-0.2 to 1)");
});

test("what stands in backticks is code", () => {
  assert.deepEqual(parts("run `make up` or `x`"), [
    { code: false, words: "run " },
    { code: true, words: "make up" },
    { code: false, words: " or " },
    { code: true, words: "x" },
  ]);
  assert.deepEqual(parts("one ` alone"), [{ code: false, words: "one ` alone" }]);
  assert.deepEqual(parts(""), []);
});

test("a distance above its threshold that did not move may be chance", () => {
  const one = (value, moved) => byChance({ value: [value], threshold: 0.1, moved: [moved] });
  assert.deepEqual([one(0.2, false), one(0.2, true), one(0.05, false), one(null, null)], [true, false, false, false]);
});

test("the metric that decayed is opened first, then the spec's", () => {
  const page = (metric, ...verdicts) => ({
    metric,
    performance: ["accuracy", "f1"].map((each, index) => ({ metric: each, verdict: [verdicts[index]] })),
  });
  assert.equal(firstMetric(page("accuracy", "ok", "decay")), "f1");
  assert.equal(firstMetric(page("f1", "decay", "decay")), "f1");
  assert.equal(firstMetric(page("f1", "ok", "ok")), "f1");
  assert.equal(firstMetric(page(null, "ok", "unknown")), null);
});

test("a line of nothing is not drawn", () => {
  assert.deepEqual(
    drawable([
      { label: "a", values: [null, 0] },
      { label: "b", values: [null, null] },
    ]).map((each) => each.label),
    ["a"],
  );
});

test("the time axis has room for whole bars and for ticks that differ", () => {
  const bars = [{ label: "n", values: [], style: "bars" }];
  assert.deepEqual(span([0, 3600, 10_800], bars), [-1800, 12_600]);
  assert.deepEqual(span([0, 3600, 10_800], []), [0, 10_800]);
  assert.deepEqual(span([100, 110], []), [-15, 225]);
  assert.deepEqual(span([50_000], []), [50_000 - 21_600, 50_000 + 21_600]);
});
