/**
 * How the model does on the ground truth that came back, over time.
 */
import { html } from "htm/preact";
import { useMemo, useState } from "preact/hooks";

import { Chooser, Table, When } from "../parts.js";
import { metricName, moment, sentence } from "../words.js";
import { FROM_ZERO, TimeChart } from "./chart.js";
import { firstMetric, newestFirst, promotions, times } from "./columns.js";
import { Figure, NO_PASS, Prose, Section } from "./parts.js";
import { measured, overtaken, UNSEEN } from "./standing.js";
import { better, number, short } from "./text.js";

/** @typedef {import("./types.js").PageData} PageData */

/** Performance on ground truth that came back. @param {{ page: PageData }} props */
export function Performance({ page }) {
  const names = page.performance.map((each) => each.metric);
  const [asked, setAsked] = useState(() => firstMetric(page) ?? "");
  const shown = page.performance.find((each) => each.metric === asked) ?? page.performance[0];
  const pass = page.passes.at(-1);
  return html`
    <${Section} id="performance" title="Performance over time">
      ${!pass && html`<p class="muted">${NO_PASS}</p>`}
      ${
        overtaken(page) &&
        html`<p class="changed">
          Performance of <code>${short(page.champion ?? "")}</code> is unknown: ${UNSEEN.toLowerCase()} What follows is of
          the versions before it.
        </p>`
      }
      ${
        !overtaken(page) &&
        pass?.performance === "unknown" &&
        html`<p class="changed">Performance is unknown: <${Prose} text=${sentence(pass.performance_why)} /> Unknown is not fine.</p>`
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
      head=${["End of the pass", name, "95 % interval", "Holdout", "Bound", "Labels", "Needed", "Verdict", "Version"]}
      rows=${newestFirst(
        page.passes.map((each, index) => [
          html`<${When} iso=${each.until} />`,
          number(shown.value[index]),
          shown.low[index] === null ? "–" : `${number(shown.low[index])} to ${number(shown.high[index])}`,
          number(shown.holdout[index]),
          number(shown.bound[index]),
          number(each.labels),
          number(each.needed),
          verdict(shown, index),
          html`<code>${short(measured(each) ?? "–")}</code>`,
        ]),
      )}
    />
  `;
  return html`
    <${Figure}
      title=${`${name} on ground truth`}
      caption=${
        `${better(shown.metric, shown.lower_is_better)}. The band is the 95 % interval; where too few labels came back ` +
        `there is no line. ${latest(page, shown)}`
      }
      table=${table}
    >
      <${TimeChart}
        label=${`${name} over time; the table below holds the values`}
        times=${when}
        lines=${lines}
        marks=${marks}
        yLabel=${name}
      />
    <//>
    <${Figure}
      title="Labels"
      caption="How many predictions of each pass's window have their ground truth. Below the dotted line nothing is judged."
      table=${() => html`
        <${Table}
          caption="Labels of each pass, newest first"
          head=${["End of the pass", "Labels", "Needed", "State"]}
          rows=${newestFirst(
            page.passes.map((each) => [
              html`<${When} iso=${each.until} />`,
              number(each.labels),
              number(each.needed),
              html`<${Prose} text=${`${each.performance}: ${each.performance_why}`} />`,
            ]),
          )}
        />
      `}
    >
      <${TimeChart}
        label="Labels of each pass over time; the table below holds the values"
        times=${when}
        lines=${labels}
        yLabel="Labels in the window"
        range=${FROM_ZERO}
      />
    <//>
  `;
}

/** What a pass says of a metric: nothing of one that has no bound. */
function verdict(/** @type {import("./types.js").MetricHistory} */ shown, /** @type {number} */ index) {
  const said = shown.verdict[index];
  return said === "ok" && shown.bound[index] === null ? "no bound" : (said ?? "–");
}

/** The newest pass that measured a metric, of which version, and what it said. */
function latest(/** @type {PageData} */ page, /** @type {import("./types.js").MetricHistory} */ shown) {
  const pass = page.passes[shown.verdict.findLastIndex((each) => each !== null)];
  const version = pass && measured(pass);
  return pass ? `${version ? `${short(version)} in the` : "The"} pass of ${moment(pass.until)}: ${sentence(shown.why)}` : "";
}
