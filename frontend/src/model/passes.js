/**
 * What the monitoring passes looked at: traffic, the data of the newest window, and the reports that are kept.
 */
import { html } from "htm/preact";
import { useMemo } from "preact/hooks";

import { Table, When } from "../parts.js";
import { count } from "../words.js";
import { FROM_ZERO, TimeChart } from "./chart.js";
import { newestFirst, times } from "./columns.js";
import { Figure, NO_PASS, Prose, Section } from "./parts.js";
import { number, share } from "./text.js";

/** @typedef {import("./types.js").PageData} PageData */

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
  if (page.passes.length === 0)
    return html`<${Section} id="traffic" title="Traffic"><p class="muted">${NO_PASS}</p><//>`;
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
        <${TimeChart}
          label="Predictions of each pass over time; the table below holds the values"
          times=${when}
          lines=${lines}
          yLabel="In the window"
          range=${FROM_ZERO}
        />
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
      ${
        pass.quality_reasons.length > 0 &&
        html`<ul>
          ${pass.quality_reasons.map((each, index) => html`<li key=${index}><${Prose} text=${each} /></li>`)}
        </ul>`
      }
      <p class="muted">
        ${count(pass.rows, "captured prediction")}, ${labelsOf(pass)}
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

/** How many labels there are, and what is wrong with some. @param {import("./types.js").Pass} pass */
function labelsOf({ labels, unmatched_labels, contradicted }) {
  const belong = unmatched_labels === 1 ? "belongs" : "belong";
  return (
    `${count(labels, "label")}; ${number(unmatched_labels)} more ${belong} to no captured prediction, and of ` +
    `${count(contradicted, "prediction")} the labels disagree.`
  );
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
              (each) =>
                html`<li key=${each.run}>
                  <${When} iso=${each.until} />:${" "}
                  ${each.html.map(
                    (name) =>
                      html`<a key=${name} href=${`./report.html#${reportPath(page.model, each.run, name)}`}
                        >${name.replace(/\.html$/, "")}</a
                      > `,
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
