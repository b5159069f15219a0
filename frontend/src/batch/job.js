/**
 * One file on the page: how far it is, what came of it, and what may be done.
 */
import { html } from "htm/preact";
import { useState } from "preact/hooks";

import { bytes } from "../files.js";
import { Badge, Table, When } from "../parts.js";
import { figure, titleOf } from "../words.js";
import { arranged, lost, standing, stopped } from "./words.js";

/**
 * @typedef {import("./jobs.js").Job} Job
 * @typedef {import("./jobs.js").Jobs} Jobs
 * @typedef {import("../api.js").BatchState} BatchState
 * @typedef {import("../api.js").Link} Link
 */

/** Links last for a quarter of an hour; one that is older than this is fetched anew when it is followed. */
const FRESH = 300_000;

/**
 * @param {{ job: Job, title: string, desk: Jobs, now: () => number, onRemove: () => void }} props
 *   `title` tells it from another file of the same name.
 */
export function JobCard({ job, title, desk, now, onRemove }) {
  const { key, stage } = job;
  const { look, word, line, share } = standing(job, now());
  const state = stage.at === "following" ? stage.state : null;
  const stop = stage.at === "unsent" ? stopped(stage.error) : stage.at === "lost" ? lost(stage.error) : null;
  const isUnderWay = stage.at === "sending" || stage.at === "queued";
  return html`
    <section class="card job" aria-labelledby=${`${key}-title`}>
      <div class="head">
        <h3 id=${`${key}-title`} tabindex="-1">${title}</h3>
        <${Badge} state=${look}>${word}<//>
      </div>
      <p class="muted small">
        ${bytes(job.size)} · ${titleOf(job.model)}${version(state)} · <${When} iso=${new Date(job.sent).toISOString()} />
      </p>
      ${
        share !== undefined &&
        html`<progress max="1" value=${share} aria-label=${`${title}: ${word}`} aria-describedby=${`${key}-line`}></progress>`
      }
      ${line && html`<p class="help line" id=${`${key}-line`}>${line}</p>`}
      ${stage.at === "following" && stage.trouble !== null && html`<${Trouble} error=${stage.trouble} />`}
      ${stop && html`<${Stopped} ...${stop} />`}
      ${state && html`<${Outcome} state=${state} />`}
      ${(state?.results || state?.quarantine) && html`<${Downloads} job=${job} state=${state} desk=${desk} now=${now} />`}
      ${state?.preview && html`<${Preview} title=${title} preview=${state.preview} scored=${state.rows.scored} />`}
      <div class="actions">
        ${isUnderWay && html`<button type="button" class="quiet" onClick=${() => desk.cancel(key)}>Cancel</button>`}
        ${
          canRepeat(job) &&
          html`<button type="button" class="quiet" onClick=${() => desk.again(key)}>${job.held ? "Send again" : "Ask again"}</button>`
        }
        ${!isUnderWay && html`<button type="button" class="quiet" onClick=${onRemove}>Remove from this page</button>`}
      </div>
    </section>
  `;
}

function version(/** @type {BatchState | null} */ state) {
  return state?.model.version && html`, version <code>${state.model.version}</code>`;
}

function canRepeat(/** @type {Job} */ { stage, held }) {
  return stage.at === "lost" || ((stage.at === "unsent" || stage.at === "cancelled") && held);
}

/** What keeps the page from knowing more; it goes on asking. */
function Trouble({ error }) {
  const { title } = stopped(error);
  return html`<p class="changed">${title} What is shown may be old; this page goes on asking by itself.</p>`;
}

function Stopped({ title, advice }) {
  return html`<div class="failure">
    <p><strong>${title}</strong></p>
    <p>${advice}</p>
  </div>`;
}

/** Counts, warnings, and the reason of a failure. @param {{ state: BatchState }} props */
function Outcome({ state: { state, rows, warnings, reason } }) {
  return html`
    ${state === "failed" && html`<${Stopped} title="It could not be scored." advice=${reason ?? "No reason is known."} />`}
    ${
      rows.read > 0 &&
      html`<dl class="counts">
        <${Count} term="Rows read" value=${rows.read} />
        <${Count} term="Scored" value=${rows.scored} />
        <${Count} term="Quarantined" value=${rows.quarantined} />
      </dl>`
    }
    ${
      warnings.length > 0 &&
      html`<div class="changed">
        <p><strong>${warnings.length === 1 ? "One thing was unusual" : "Some things were unusual"}</strong></p>
        <ul>
          ${warnings.map((each, index) => html`<li key=${index}>${each}</li>`)}
        </ul>
      </div>`
    }
  `;
}

function Count({ term, value }) {
  return html`<div>
    <dt>${term}</dt>
    <dd>${figure(value)}</dd>
  </div>`;
}

/** @param {{ job: Job, state: BatchState, desk: Jobs, now: () => number }} props */
function Downloads({ job, state, desk, now }) {
  const [problem, setProblem] = useState("");
  const asked = job.stage.at === "following" ? job.stage.asked : 0;
  const follow = async (/** @type {Event} */ event, /** @type {"results" | "quarantine"} */ which) => {
    setProblem("");
    if (now() - asked < FRESH) return;
    event.preventDefault();
    try {
      const url = (await desk.refresh(job.key))[which]?.url;
      if (url) location.assign(url);
    } catch (error) {
      const { title, advice } = stopped(error);
      setProblem(`${title} ${advice}`);
    }
  };
  const link = (/** @type {Link | null} */ file, /** @type {"results" | "quarantine"} */ which, /** @type {string} */ word) =>
    file &&
    html`<a class=${`download ${which}`} href=${file.url} onClick=${(/** @type {Event} */ event) => follow(event, which)}>
      <span class="words">${word}</span> <span class="muted">${kindOf(file)}, ${bytes(file.size)}</span>
    </a>`;
  return html`
    <div class="downloads">
      ${link(state.results, "results", "Download the results")}
      ${link(state.quarantine, "quarantine", "Download the refused rows")}
    </div>
    ${
      state.quarantine &&
      html`<p class="help">Of each refused row, the file says its number, the column and the reason.</p>`
    }
    <p class="error" role="alert">${problem}</p>
  `;
}

function kindOf(/** @type {Link} */ { media_type: type }) {
  return type.includes("csv") ? "CSV" : type.includes("parquet") ? "Parquet" : type;
}

/** The first rows, as text and nothing else: a cell may hold whatever its author liked. */
function Preview({ title, preview, scored }) {
  const count = preview.rows.length;
  if (count === 0) return null;
  const shown = count < scored ? `The first ${figure(count)} of ${figure(scored)}` : "All";
  return html`<${Table} caption=${`${shown} scored rows of ${title}`} ...${arranged(preview)} />`;
}
