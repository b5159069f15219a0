/**
 * What happened to the versions: when, by whom and why.
 */
import { html } from "htm/preact";

import { Table, When } from "../parts.js";
import { figure } from "../words.js";
import { More, Prose, Section } from "./parts.js";
import { eventWord, interval, short, statusWord } from "./text.js";

const SHOWN = 8;

/** @param {{ page: import("./types.js").PageData, onCompare: (version: string) => void }} props */
export function Timeline({ page, onCompare }) {
  const { events, versions, metric } = page;
  return html`
    <${Section} id="versions" title="Versions">
      ${events.length === 0 && html`<p class="muted">Nothing has been promoted or rejected yet.</p>`}
      <${Events} events=${events.slice(0, SHOWN)} versions=${versions} onCompare=${onCompare} />
      ${
        events.length > SHOWN &&
        html`<${More} summary=${`${figure(events.length - SHOWN)} earlier`}>
          ${() => html`<${Events} events=${events.slice(SHOWN)} versions=${versions} onCompare=${onCompare} />`}
        <//>`
      }
      ${
        versions.length > 0 &&
        html`<${More} summary="Table: all versions">
          ${() => html`
            <${Table}
              caption="Versions, newest first, with their metric on the holdout and its 95 % interval"
              numeric=${false}
              head=${["Version", "Registered", "Status", "Candidate", metric ?? "Metric", "Trained because", "Run", "Code"]}
              rows=${versions.map((each) => [
                html`<code>${each.version}</code>`,
                html`<${When} iso=${each.at} />`,
                statusWord(each.status),
                each.candidate,
                interval(each.metrics[metric ?? ""], metric ?? ""),
                html`<${Prose} text=${each.because || "–"} />`,
                each.run,
                html`<code>${each.code.slice(0, 12)}</code>`,
              ])}
            />
          `}
        <//>`
      }
    <//>
  `;
}

function Events({ events, versions, onCompare }) {
  const known = new Set(versions.map((/** @type {any} */ each) => each.version));
  return html`
    <ol class="timeline">
      ${events.map(
        (/** @type {import("./types.js").Happening} */ each, /** @type {number} */ index) => html`
          <li key=${index} class=${each.kind}>
            <p>
              <strong>${eventWord(each.kind)}</strong>${" "} ${each.kind === "rolled_back" ? html`to ` : ""}<code
                >${short(each.version)}</code
              >
              ${
                each.previous &&
                html`<span class="muted"
                  >${each.kind === "rolled_back" ? " from " : " over "}<code>${short(each.previous)}</code></span
                >`
              }
            </p>
            <p class="muted">
              <${When} iso=${each.at} /> by ${each.by}${each.until && html`; until <${When} iso=${each.until} />`}
            </p>
            ${
              each.reasons.length > 0 &&
              html`<ul>
                ${each.reasons.map((why, place) => html`<li key=${place}><${Prose} text=${why} /></li>`)}
              </ul>`
            }
            ${
              known.has(each.version) &&
              html`<a
                href="#compare"
                onClick=${(/** @type {Event} */ event) => {
                  event.preventDefault();
                  onCompare(each.version);
                  const title = document.getElementById("compare-title");
                  title?.scrollIntoView();
                  document.getElementById("challenger")?.focus({ preventScroll: true });
                }}
                >Compare ${short(each.version)}</a
              >`
            }
          </li>
        `,
      )}
    </ol>
  `;
}
