/**
 * The model page: finds which models there are, and shows one of them.
 */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";

import { useHash, useLoad } from "../hooks.js";
import { Chooser, When } from "../parts.js";
import { figure, titleOf } from "../words.js";
import { address, loadIndex, loadPage } from "./data.js";
import { Drift } from "./drift.js";
import { Duel } from "./duel.js";
import { Now } from "./now.js";
import { Prose } from "./parts.js";
import { DataQuality, Reports, Traffic } from "./passes.js";
import { Performance } from "./performance.js";
import { zone } from "./text.js";
import { Timeline } from "./timeline.js";

/** The whole page. */
export function App() {
  const index = useLoad((signal) => loadIndex(signal).catch(() => /** @type {string[]} */ ([])));
  const hash = useHash();
  const asked = address(hash);
  const models = index.value ?? [];
  const name = asked.model || models[0] || "";
  const strange = models.length > 0 && name !== "" && !models.includes(name);
  useEffect(() => {
    document.title = name && !strange ? `${titleOf(name)} · how it is doing · Perennial` : "Models · Perennial";
  }, [name, strange]);
  return html`
    <header class="page masthead">
      <a class="brand" href="./index.html"><img src="./logo.svg" alt="" width="32" height="32" />Perennial</a>
      <nav aria-label="Pages">
        <a href=${strange ? "./index.html" : `./index.html#${encodeURIComponent(name)}`}>${strange ? "Ask a model" : "Ask this model"}</a>
        <a href=${strange || !name ? "./batch.html" : `./batch.html?model=${encodeURIComponent(name)}`}>Score a file</a>
      </nav>
    </header>
    <main class="page wide">
      ${
        models.length > 1 &&
        !strange &&
        html`<${Chooser}
          id="model"
          label="Model"
          value=${name}
          options=${models.map((each) => ({ value: each, text: titleOf(each) }))}
          onChange=${(/** @type {string} */ chosen) => (location.hash = chosen)}
        />`
      }
      ${hash && !asked.model && html`<p class="changed" role="status">“${hash}” names no model.</p>`}
      ${strange && html`<${Strange} name=${name} models=${models} />`}
      ${name && !strange && html`<${Model} key=${name} name=${name} version=${asked.version} />`}
      ${
        !name &&
        index.status !== "loading" &&
        html`<h1>No model has a page yet</h1>
          <p>A page appears here once a version was trained, or a monitoring pass ran.</p>`
      }
    </main>
    <footer class="page"><p>Times are in ${zone()}. Perennial keeps models in production fresh.</p></footer>
  `;
}

function Model({ name, version }) {
  const loaded = useLoad((signal) => loadPage(name, signal));
  const heading = html`<h1>${titleOf(name)}</h1>`;
  if (loaded.status === "loading")
    return html`${heading}
      <p class="loading" role="status"><span aria-busy="true">Loading…</span></p>`;
  if (loaded.status === "failed") return html`${heading}<${Missing} error=${loaded.error} onRetry=${loaded.retry} />`;
  return html`<${Page} page=${loaded.value} version=${version} />`;
}

/** An address that names a model which is not here. */
function Strange({ name, models }) {
  return html`
    <h1>No such model</h1>
    <div class="failure" role="alert">
      <p>There is no page of a model called <code>${name}</code>. There are pages of:</p>
      <ul>
        ${models.map((/** @type {string} */ each) => html`<li key=${each}><a href=${`#${each}`}>${titleOf(each)}</a></li>`)}
      </ul>
    </div>
  `;
}

/** Why there is nothing to show. */
function Missing({ error, onRetry }) {
  const words = {
    missing: "There is no page of this model yet. One appears once a version was trained, or a monitoring pass ran.",
    broken: "What is stored of this model cannot be read by this page. Publish it again.",
  };
  return html`
    <div class="failure" role="alert">
      <p><strong>Nothing to show.</strong></p>
      <p>${words[error?.kind] ?? "The page's data cannot be reached. Check the connection and try again."}</p>
      <button type="button" class="quiet" onClick=${onRetry}>Try again</button>
    </div>
  `;
}

/** @param {{ page: import("./types.js").PageData, version: string }} props */
function Page({ page, version }) {
  const [challenger, setChallenger] = useState(() => start(page, version));
  const pass = page.passes.at(-1);
  useEffect(() => {
    if (page.versions.some((each) => each.version === version)) setChallenger(version);
  }, [version]);
  return html`
    <hgroup>
      <h1>${titleOf(page.model)}</h1>
      <p>
        ${page.target && `Predicts ${page.target}. `}${pass && html`How it was in the pass of <${When} iso=${pass.until} />. `}
        <span class="muted">Page of <${When} iso=${page.at} />.</span>
      </p>
    </hgroup>
    <${Now} page=${page} />
    ${
      page.left_out.length > 0 &&
      html`<div class="changed" role="note">
        <p>${figure(page.left_out.length)} ${page.left_out.length === 1 ? "thing" : "things"} could not be read:</p>
        <ul>
          ${page.left_out.map((each, index) => html`<li key=${index}><${Prose} text=${each} /></li>`)}
        </ul>
      </div>`
    }
    <${Performance} page=${page} />
    <${Drift} page=${page} />
    <${Traffic} page=${page} />
    <${DataQuality} page=${page} />
    <${Timeline} page=${page} onCompare=${setChallenger} />
    <${Duel} page=${page} chosen=${challenger} onChoose=${setChallenger} />
    <${Reports} page=${page} />
  `;
}

/** The version compared at first: the one in the address, else the newest that is not champion. */
function start(/** @type {import("./types.js").PageData} */ page, /** @type {string} */ asked) {
  const named = page.versions.find((each) => each.version === asked);
  return (named ?? page.versions.find((each) => each.status !== "champion") ?? page.versions[0])?.version ?? "";
}
