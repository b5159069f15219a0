/**
 * How the model is now: what serves, and what the newest pass found.
 */
import { html } from "htm/preact";

import { Badge, When } from "./parts.js";
import { count, sentence, short } from "./text.js";

const STATES = {
  ok: ["ok", "fine"],
  drift: ["bad", "drift"],
  decay: ["bad", "decay"],
  problems: ["warn", "problems"],
  unknown: ["unknown", "unknown"],
};

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
      ${pass && html`<${Passed} pass=${pass} />`}
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

/** @param {{ pass: import("./types.js").Pass }} props */
function Passed({ pass }) {
  const asked = pass.retrain ? "asked for" : pass.blocked ? "held back" : "not asked for";
  return html`
    <${Tile} title="Performance" state=${pass.performance} why=${pass.performance_why} />
    <${Tile} title="Drift" state=${pass.drift} why=${pass.drift_why} />
    <${Tile}
      title="Data"
      state=${pass.quality}
      why=${pass.quality_reasons.join("; ") || `${count(pass.rows, "captured prediction")} can be relied on`}
    />
    <div class="tile">
      <h2>Retraining</h2>
      <p><${Badge} state=${pass.retrain || pass.blocked ? "warn" : "ok"}>${asked}<//></p>
      <p class="muted">${sentence(pass.reasons.join("; ")) || "There is no reason to."}</p>
      ${pass.blocked && html`<p class="muted">Held back: ${sentence(pass.blocked)}</p>`}
    </div>
  `;
}

function Tile({ title, state, why }) {
  const [look, word] = STATES[state] ?? ["unknown", state];
  return html`
    <div class="tile">
      <h2>${title}</h2>
      <p><${Badge} state=${look}>${word}<//></p>
      <p class="muted">${why}</p>
    </div>
  `;
}
