/**
 * How far the features have moved from what the champion learnt from, over time.
 */
import { html } from "htm/preact";
import { useMemo, useState } from "preact/hooks";

import { Badge, Chooser, Table, When } from "../parts.js";
import { moment, sentence } from "../words.js";
import { FROM_ZERO, TimeChart } from "./chart.js";
import { byChance, driftLines, farthest, newestFirst, promotions, shownFeatures, times } from "./columns.js";
import { Figure, NO_PASS, Prose, Section } from "./parts.js";
import { measured, overtaken, UNSEEN } from "./standing.js";
import { chance, number, share, short, statisticName } from "./text.js";

/** @typedef {import("./types.js").PageData} PageData */

const ALL = "";

/** How far each feature has moved from the champion's training data. @param {{ page: PageData }} props */
export function Drift({ page }) {
  const [asked, setAsked] = useState(ALL);
  const shown = useMemo(() => shownFeatures(page.drift, asked), [page, asked]);
  const lines = useMemo(() => driftLines(shown), [shown]);
  const when = useMemo(() => times(page), [page]);
  const marks = useMemo(() => promotions(page), [page]);
  const pass = page.passes.at(-1);
  if (!pass) return html`<${Section} id="drift" title="Drift"><p class="muted">${NO_PASS}</p><//>`;
  const rest = page.drift.length - shown.length;
  return html`
    <${Section} id="drift" title="Drift">
      ${
        overtaken(page) &&
        html`<p class="changed">
          Drift from the training data of <code>${short(page.champion ?? "")}</code> is unknown: ${UNSEEN.toLowerCase()}${" "}
          What follows is against those of the versions before it.
        </p>`
      }
      ${!overtaken(page) && pass.drift === "unknown" && html`<p class="changed">Drift is unknown: <${Prose} text=${sentence(pass.drift_why)} /> Unknown is not fine.</p>`}
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
            <${TimeChart}
              label="Distance of features from the baseline over time; the table below holds the values"
              times=${when}
              lines=${lines}
              marks=${marks}
              yLabel="Distance, 0 to 1"
              range=${DISTANCE}
            />
          <//>
          <${ShareFigure} page=${page} when=${when} marks=${marks} />
          <h3>Features in the newest pass</h3>
          <${Table}
            caption=${`Every feature against the training data of ${short(measured(pass) ?? "the champion")}, farthest first, in the pass of ${moment(pass.until)}`}
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
  if (moved === false) {
    return byChance(feature)
      ? html`<${Badge} state="unknown">not sure<//> <${Prose} text=${feature.note || "chance is not ruled out"} />`
      : html`<${Badge} state="ok">as before<//> <${Prose} text=${feature.note} />`;
  }
  return html`<${Badge} state="unknown">unknown<//> <${Prose} text=${feature.note} />`;
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
      caption="Where more than the dotted bound moved, the data as a whole count as drifted, which may start a training, never a promotion."
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
              html`<${Prose} text=${`${each.drift}: ${each.drift_why}`} />`,
            ]),
          )}
        />
      `}
    >
      <${TimeChart}
        label="Share of features that moved over time; the table below holds the values"
        times=${when}
        lines=${lines}
        marks=${marks}
        yLabel="Share, 0 to 1"
        range=${FROM_ZERO}
      />
    <//>
  `;
}
