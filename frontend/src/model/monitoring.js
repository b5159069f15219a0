/**
 * What the monitoring passes found, over time.
 */
import { html } from "htm/preact";
import { useMemo, useState } from "preact/hooks";

import { metricName } from "../words.js";
import { TimeChart } from "./chart.js";
import { driftLines, farthest, newestFirst, promotions, shownFeatures, times } from "./columns.js";
import { Badge, Chooser, Figure, Section, Table, When } from "./parts.js";
import { better, chance, count, number, sentence, share, statisticName } from "./text.js";

/** @typedef {import("./types.js").PageData} PageData */

const NONE = "No monitoring pass yet.";
const ALL = "";

/** Performance on ground truth that came back. @param {{ page: PageData }} props */
export function Performance({ page }) {
  const names = page.performance.map((each) => each.metric);
  const [asked, setAsked] = useState(page.metric ?? "");
  const shown = page.performance.find((each) => each.metric === asked) ?? page.performance[0];
  const pass = page.passes.at(-1);
  return html`
    <${Section} id="performance" title="Performance over time">
      ${!pass && html`<p class="muted">${NONE}</p>`}
      ${
        pass?.performance === "unknown" &&
        html`<p class="changed">Performance is unknown: ${sentence(pass.performance_why)} Unknown is not fine.</p>`
      }
      ${
        names.length > 1 &&
        html`<${Chooser}
          id="metric"
          label="Metric"
          value=${shown?.metric ?? ""}
          options=${names.map((name) => ({ value: name, text: metricName(name) }))}
          onChange=${setAsked}
        />`
      }
      ${shown && html`<${MetricFigures} page=${page} shown=${shown} />`}
      ${pass && !shown && html`<p class="muted">No pass has measured a metric yet.</p>`}
    <//>
  `;
}

/** @param {{ page: PageData, shown: import("./types.js").MetricHistory }} props */
function MetricFigures({ page, shown }) {
  const when = useMemo(() => times(page), [page]);
  const marks = useMemo(() => promotions(page), [page]);
  const lines = useMemo(
    () => [
      { label: "on ground truth", values: shown.value, band: { low: shown.low, high: shown.high } },
      { label: "champion on its holdout", values: shown.holdout, style: /** @type {const} */ ("reference") },
      ...(shown.bound.some((each) => each !== null)
        ? [{ label: "retrain bound", values: shown.bound, style: /** @type {const} */ ("limit") }]
        : []),
    ],
    [shown],
  );
  const labels = useMemo(
    () => [
      { label: "labels", values: page.passes.map((each) => each.labels), style: /** @type {const} */ ("bars") },
      {
        label: "needed for a judgement",
        values: page.passes.map((each) => each.needed),
        style: /** @type {const} */ ("limit"),
      },
    ],
    [page],
  );
  const name = metricName(shown.metric);
  const table = () => html`
    <${Table}
      caption=${`${name} of each pass, newest first`}
      head=${["End of the pass", name, "95 % interval", "Holdout", "Bound", "Labels", "Needed", "Verdict"]}
      rows=${newestFirst(
        page.passes.map((each, index) => [
          html`<${When} iso=${each.until} />`,
          number(shown.value[index]),
          shown.low[index] === null ? "–" : `${number(shown.low[index])} to ${number(shown.high[index])}`,
          number(shown.holdout[index]),
          number(shown.bound[index]),
          number(each.labels),
          number(each.needed),
          shown.verdict[index] ?? "–",
        ]),
      )}
    />
  `;
  return html`
    <${Figure}
      title=${`${name} on ground truth`}
      caption=${
        `${better(shown.metric, shown.lower_is_better)}. The band is the 95 % interval; where too few labels came back ` +
        `there is no line. Newest: ${sentence(shown.why)}`
      }
      table=${table}
    >
      <${TimeChart} label=${`${name} over time; the table below holds the values`} times=${when} lines=${lines} marks=${marks} yLabel=${name} />
    <//>
    <${Figure}
      title="Labels"
      caption="How many predictions of each pass's window have their ground truth. Below the dotted line nothing is judged."
      table=${table}
    >
      <${TimeChart} label="Labels of each pass over time; the table below holds the values" times=${when} lines=${labels} yLabel="Labels in the window" range=${RANGE} />
    <//>
  `;
}

const RANGE = /** @type {[number, number]} */ ([0, 1]);

/** How far each feature has moved from the champion's training data. @param {{ page: PageData }} props */
export function Drift({ page }) {
  const [asked, setAsked] = useState(ALL);
  const shown = useMemo(() => shownFeatures(page.drift, asked), [page, asked]);
  const lines = useMemo(() => driftLines(shown), [shown]);
  const when = useMemo(() => times(page), [page]);
  const marks = useMemo(() => promotions(page), [page]);
  const pass = page.passes.at(-1);
  if (!pass) return html`<${Section} id="drift" title="Drift"><p class="muted">${NONE}</p><//>`;
  const rest = page.drift.length - shown.length;
  return html`
    <${Section} id="drift" title="Drift">
      ${pass.drift === "unknown" && html`<p class="changed">Drift is unknown: ${sentence(pass.drift_why)} Unknown is not fine.</p>`}
      ${
        page.drift.length > 0 &&
        html`
          <${Chooser}
            id="feature"
            label="Feature"
            value=${asked}
            options=${[
              { value: ALL, text: `The ${lines.length > 1 ? "farthest" : "one"} now` },
              ...page.drift.map((each) => ({ value: each.feature, text: each.feature })),
            ]}
            onChange=${setAsked}
          />
          <${Figure}
            title="Distance from the baseline"
            caption=${
              "Kolmogorov-Smirnov distance of numbers and dates, total variation of categories, from 0 (as in the " +
              "champion's training data) to 1 (nothing in common)." +
              (asked === ALL && rest > 0 ? ` The ${shown.length} farthest of ${page.drift.length} features.` : "")
            }
            table=${() => html`
              <${Table}
                caption="Distance from the baseline of each pass, newest first"
                head=${["End of the pass", ...shown.map((each) => each.feature)]}
                rows=${newestFirst(
                  page.passes.map((each, index) => [
                    html`<${When} iso=${each.until} />`,
                    ...shown.map(({ value, moved }) => `${number(value[index])}${moved[index] ? " moved" : ""}`),
                  ]),
                )}
              />
            `}
          >
            <${TimeChart} label="Distance of features from the baseline over time; the table below holds the values" times=${when} lines=${lines} marks=${marks} yLabel="Distance, 0 to 1" range=${DISTANCE} />
          <//>
          <${ShareFigure} page=${page} when=${when} marks=${marks} />
          <h3>Features in the newest pass</h3>
          <${Table}
            caption="Every feature against the champion's training data, farthest first"
            head=${["Feature", "State", "Distance", "Counts from", "p-value", "Statistic", "Baseline rows", "Window rows"]}
            rows=${farthest(page.drift).map((each) => [
              each.feature,
              html`<${Moved} feature=${each} />`,
              number(each.value.at(-1)),
              number(each.threshold),
              chance(each.p_value.at(-1) ?? null),
              statisticName(each.statistic),
              number(each.baseline_rows),
              number(each.window_rows),
            ])}
          />
        `
      }
    <//>
  `;
}

const DISTANCE = /** @type {[number, number]} */ ([0, 0.2]);

function Moved({ feature }) {
  const moved = feature.moved.at(-1);
  if (moved === true) return html`<${Badge} state="bad">moved<//>`;
  if (moved === false) return html`<${Badge} state="ok">as before<//>`;
  return html`<${Badge} state="unknown">unknown<//> ${feature.note}`;
}

function ShareFigure({ page, when, marks }) {
  const lines = useMemo(
    () => [
      { label: "share of features that moved", values: page.passes.map((/** @type {any} */ each) => each.drift_share) },
      {
        label: "bound",
        values: page.passes.map((/** @type {any} */ each) => each.drift_bound),
        style: /** @type {const} */ ("limit"),
      },
    ],
    [page],
  );
  return html`
    <${Figure}
      title="Share of features that moved"
      caption="At or above the dotted bound the data as a whole count as drifted, which may start a training, never a promotion."
      table=${() => html`
        <${Table}
          caption="Share of features that moved, newest pass first"
          head=${["End of the pass", "Share", "Bound", "Moved", "Judged", "State"]}
          rows=${newestFirst(
            page.passes.map((/** @type {import("./types.js").Pass} */ each) => [
              html`<${When} iso=${each.until} />`,
              share(each.drift_share),
              share(each.drift_bound),
              number(each.drift_moved),
              number(each.drift_judged),
              `${each.drift}: ${each.drift_why}`,
            ]),
          )}
        />
      `}
    >
      <${TimeChart} label="Share of features that moved over time; the table below holds the values" times=${when} lines=${lines} marks=${marks} yLabel="Share, 0 to 1" range=${RANGE} />
    <//>
  `;
}

/** How much the model was asked. @param {{ page: PageData }} props */
export function Traffic({ page }) {
  const when = useMemo(() => times(page), [page]);
  const lines = useMemo(
    () => [
      { label: "predictions", values: page.passes.map((each) => each.served), style: /** @type {const} */ ("bars") },
      { label: "captured", values: page.passes.map((each) => each.rows) },
    ],
    [page],
  );
  if (page.passes.length === 0) return html`<${Section} id="traffic" title="Traffic"><p class="muted">${NONE}</p><//>`;
  return html`
    <${Section} id="traffic" title="Traffic">
      <${Figure}
        title="Predictions"
        caption="Predictions in the window of each pass, and how many of them were captured. Windows overlap where passes are closer together than a window is long."
        table=${() => html`
          <${Table}
            caption="Traffic of each pass, newest first"
            head=${["End of the pass", "Since", "Predictions", "Captured", "Lost", "Came twice", "Labels"]}
            rows=${newestFirst(
              page.passes.map((each) => [
                html`<${When} iso=${each.until} />`,
                html`<${When} iso=${each.since} />`,
                number(each.served),
                number(each.rows),
                number(each.lost),
                number(each.duplicates),
                number(each.labels),
              ]),
            )}
          />
        `}
      >
        <${TimeChart} label="Predictions of each pass over time; the table below holds the values" times=${when} lines=${lines} yLabel="In the window" range=${RANGE} />
      <//>
    <//>
  `;
}

/** Whether the newest window can be relied on. @param {{ page: PageData }} props */
export function DataQuality({ page }) {
  const pass = page.passes.at(-1);
  if (!pass) return null;
  return html`
    <${Section} id="quality" title="Data of the newest pass">
      ${pass.quality_reasons.length > 0 && html`<ul>${pass.quality_reasons.map((each, index) => html`<li key=${index}>${each}</li>`)}</ul>`}
      <p class="muted">
        ${count(pass.rows, "captured prediction")}, ${count(pass.labels, "label")}, of which ${number(pass.unmatched_labels)}
        ${" "}belong to no captured prediction and ${number(pass.contradicted)} are contradicted.
      </p>
      ${
        page.quality.length > 0 &&
        html`<${Table}
          caption="Shares of values in the window"
          head=${["Feature", "Missing", "Missing in training", "Out of range", "Unseen"]}
          rows=${page.quality.map((each) => [
            each.feature,
            share(each.missing),
            share(each.baseline_missing),
            share(each.out_of_range),
            share(each.unseen),
          ])}
        />`
      }
    <//>
  `;
}

/** The reports that are still kept, each opened in a sandbox. @param {{ page: PageData }} props */
export function Reports({ page }) {
  const kept = newestFirst(page.passes.filter((each) => each.html.length > 0));
  return html`
    <${Section} id="reports" title="Reports">
      ${kept.length === 0 && html`<p class="muted">No report is kept.</p>`}
      ${
        kept.length > 0 &&
        html`<p class="muted">Made by Evidently. They run script of their own, so they open in a sandbox.</p>
          <ul class="reports">
            ${kept.map(
              (each) => html`<li key=${each.run}>
                <${When} iso=${each.until} />:${" "}
                ${each.html.map(
                  (name) => html`<a key=${name} href=${`./report.html#${reportPath(page.model, each.run, name)}`}>${name.replace(/\.html$/, "")}</a> `,
                )}
              </li>`,
            )}
          </ul>`
      }
    <//>
  `;
}

function reportPath(/** @type {string[]} */ ...[model, run, name]) {
  return ["data", model, "monitor", run, name].map(encodeURIComponent).join("/");
}
