/**
 * The evaluation of one version, or of two side by side: the charts that training drew, and the metrics of groups.
 */
import { html } from "htm/preact";
import { useState } from "preact/hooks";

import { useLoad } from "../hooks.js";
import { Chooser, Table } from "../parts.js";
import { metricName } from "../words.js";
import { union } from "./columns.js";
import { fileOf, loadEvaluation } from "./data.js";
import { columnNames } from "./duel.js";
import { Figure } from "./parts.js";
import { number, short } from "./text.js";

/**
 * @typedef {import("./types.js").Chart} Chart
 * @typedef {import("./types.js").Version} Version
 * @typedef {{ version: Version, evaluation: import("./types.js").Evaluation | null }} Evaluated
 */

/** @param {{ page: import("./types.js").PageData, pair: Version[] }} props */
export function Evaluations({ page, pair }) {
  const loaded = useLoad((signal) =>
    Promise.all(
      pair.map(async (version) => ({
        version,
        evaluation: version.files.includes("evaluation.json")
          ? await loadEvaluation(page.model, version.version, signal).catch(() => null)
          : null,
      })),
    ),
  );
  if (!loaded.value) return html`<p class="muted" role="status">Loading the charts…</p>`;
  const found = /** @type {Evaluated[]} */ (loaded.value);
  const without = found.filter((each) => each.evaluation === null);
  const names = union(...found.map((each) => each.evaluation?.charts.map((chart) => chart.name) ?? []));
  return html`
    ${without.map(
      ({ version }) =>
        html`<p class="changed" key=${version.version}>
          The evaluation of ${short(version.version)} cannot be shown: it is missing or damaged.
        </p>`,
    )}
    ${names.map((name) => html`<${Pictures} key=${name} name=${name} model=${page.model} found=${found} />`)}
    <${Slices} found=${found} metric=${page.metric ?? ""} />
    <${Cards} model=${page.model} pair=${pair} />
  `;
}

/** One kind of chart, of each version. */
function Pictures({ name, model, found }) {
  const drawn = /** @type {{ version: Version, chart: Chart }[]} */ (
    found.flatMap((/** @type {Evaluated} */ { version, evaluation }) => {
      const chart = evaluation?.charts.find((each) => each.name === name);
      return chart ? [{ version, chart }] : [];
    })
  );
  const summaries = new Set(drawn.map(({ chart }) => chart.summary));
  const caption =
    summaries.size === 1
      ? [...summaries][0]
      : drawn.map(({ version, chart }) => `${short(version.version)}: ${chart.summary}`).join(" ");
  const { title } = drawn[0].chart;
  return html`
    <${Figure}
      title=${title}
      titled=${drawn.every(({ version }) => version.files.includes(`${name}.svg`))}
      caption=${caption}
      table=${() => drawn.map((each) => html`<${ChartTable} key=${each.version.version} ...${each} />`)}
    >
      <div class="pictures">
        ${drawn.map(({ version, chart }) => {
          const file = `${name}.svg`;
          return html`<div key=${version.version}>
            <p class="muted">${short(version.version)} (${version.candidate})</p>
            ${
              version.files.includes(file)
                ? html`<img
                    src=${fileOf(model, version.version, file)}
                    alt=${`${chart.title} of version ${short(version.version)}. ${chart.summary} Across: ${chart.x_label}; up: ${chart.y_label}.`}
                    width="480"
                    height="400"
                  />`
                : html`<p class="muted">The picture is missing or damaged; the table has its data.</p>`
            }
          </div>`;
        })}
      </div>
    <//>
  `;
}

/** The data of one chart. @param {{ version: Version, chart: Chart }} props */
function ChartTable({ version, chart }) {
  const caption = `${chart.title} of version ${short(version.version)}`;
  switch (chart.kind) {
    case "bars":
      return html`<${Table}
        caption=${caption}
        head=${[chart.y_label, chart.x_label, "to each side"]}
        rows=${(chart.labels ?? []).map((label, index) => [label, number(chart.values?.[index]), number(chart.errors?.[index])])}
      />`;
    case "matrix":
      return html`<${Table}
        caption=${`${caption}: ${chart.y_label} by ${chart.x_label}`}
        head=${[`${chart.y_label} \\ ${chart.x_label}`, ...(chart.labels ?? [])]}
        rows=${(chart.rows ?? []).map((row, index) => [chart.labels?.[index], ...row.map(number)])}
      />`;
    default:
      return html`<${Table}
        caption=${caption}
        head=${["Line", chart.x_label, chart.y_label]}
        rows=${(chart.series ?? []).flatMap((series) => series.x.map((x, index) => [series.name, number(x), number(series.y[index])]))}
      />`;
  }
}

/** The metric of each group of each feature. */
function Slices({ found, metric }) {
  const [measure, setMeasure] = useState(metric);
  const columns = union(...found.map((/** @type {Evaluated} */ each) => Object.keys(each.evaluation?.slices ?? {})));
  if (columns.length === 0) return html`<p class="muted">No groups were measured.</p>`;
  const names = columnNames(found.map((/** @type {Evaluated} */ each) => each.version));
  const groupsOf = (/** @type {Evaluated} */ each, /** @type {string} */ column) =>
    each.evaluation?.slices[column] ?? [];
  const others = union(
    ...found.flatMap((/** @type {Evaluated} */ each) =>
      Object.values(each.evaluation?.slices ?? {})
        .flat()
        .map((group) => Object.keys(group.metrics)),
    ),
  ).filter((each) => each !== metric);
  const rows = columns.flatMap((column) =>
    union(...found.map((/** @type {Evaluated} */ each) => groupsOf(each, column).map((group) => group.group))).map(
      (name) => {
        const groups = found.map((/** @type {Evaluated} */ each) =>
          groupsOf(each, column).find((group) => group.group === name),
        );
        return [
          `${column}: ${name}`,
          ...groups.flatMap((/** @type {any} */ group) => [number(group?.metrics[measure]), number(group?.rows)]),
        ];
      },
    ),
  );
  const head = ["Group", ...names.flatMap((/** @type {string} */ name) => [name, `${name}: rows`])];
  return html`
    <h3>Groups</h3>
    <${Chooser}
      id="measure"
      label="Metric of groups"
      value=${measure}
      options=${[metric, ...others].map((each) => ({ value: each, text: metricName(each) }))}
      onChange=${setMeasure}
    />
    <${Table} caption=${`${metricName(measure)} on the holdout rows of each group`} head=${head} rows=${rows} />
  `;
}

function Cards({ model, pair }) {
  const written = pair.filter((/** @type {Version} */ each) => each.files.includes("card.html"));
  if (written.length === 0) return null;
  return html`<p class="onward">
    Model cards:${" "}
    ${written.map(
      (/** @type {Version} */ each) =>
        html`<a key=${each.version} href=${fileOf(model, each.version, "card.html")}>${short(each.version)}</a> `,
    )}
  </p>`;
}
