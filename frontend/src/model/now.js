/**
 * How the model is now: what serves, and what the newest pass found.
 */
import { html } from "htm/preact";

import { Badge, When } from "../parts.js";
import { sentence } from "../words.js";
import { Prose } from "./parts.js";
import { findings } from "./standing.js";
import { short } from "./text.js";

/** @param {{ page: import("./types.js").PageData }} props */
export function Now({ page }) {
  const pass = page.passes.at(-1);
  const since = page.events.find((each) => each.generation !== null);
  return html`
    <section class="now" aria-label="Now">
      <div class="tile">
        <h2>Champion</h2>
        ${
          page.champion
            ? html`<p><code>${short(page.champion)}</code></p>
                ${since && html`<p class="muted">since <${When} iso=${since.at} />, generation ${page.generation}</p>`}`
            : html`<p class="muted">Nothing has been promoted yet.</p>`
        }
      </div>
      ${pass && html`<${Passed} page=${page} pass=${pass} />`}
      ${
        !pass &&
        html`<div class="tile">
          <h2>Monitoring</h2>
          <p><${Badge} state="unknown">unknown<//></p>
          <p class="muted">No monitoring pass yet.</p>
        </div>`
      }
    </section>
  `;
}

/** @param {{ page: import("./types.js").PageData, pass: import("./types.js").Pass }} props */
function Passed({ page, pass }) {
  const asked = pass.retrain ? "asked for" : pass.blocked ? "held back" : "not asked for";
  return html`
    ${findings(page, pass).map((each) => html`<${Tile} key=${each.title} finding=${each} at=${pass.until} />`)}
    <div class="tile">
      <h2>Retraining</h2>
      <p><${Badge} state=${pass.retrain || pass.blocked ? "warn" : "ok"}>${asked}<//></p>
      <p class="muted"><${Prose} text=${sentence(pass.reasons.join("; ")) || "There is no reason to."} /></p>
      ${pass.blocked && html`<p class="muted">Held back: <${Prose} text=${sentence(pass.blocked)} /></p>`}
      <${Source} version=${null} at=${pass.until} />
    </div>
  `;
}

/** @param {{ finding: import("./standing.js").Finding, at: string }} props */
function Tile({ finding, at }) {
  return html`
    <div class="tile">
      <h2>${finding.title}</h2>
      <p><${Badge} state=${finding.look}>${finding.word}<//></p>
      <p class="muted"><${Prose} text=${finding.why} /></p>
      <${Source} version=${finding.version} at=${at} />
    </div>
  `;
}

/** Which version a finding is of, and when it was found. */
function Source({ version, at }) {
  return html`<p class="muted source">
    ${version && html`Of <code>${short(version)}</code>, in the`}${!version && "In the"} pass of <${When} iso=${at} />.
  </p>`;
}
