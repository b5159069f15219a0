/**
 * The page: finds the API, lists the models, and keeps one of them in front of the reader.
 */
import { html } from "htm/preact";
import { useEffect } from "preact/hooks";

import { connect, locate } from "./api.js";
import { useHash, useLoad } from "./hooks.js";
import { Failure } from "./result.js";
import { fieldsOf } from "./schema.js";
import { titleOf } from "./words.js";
import { Workbench } from "./workbench.js";

/** The whole page. */
export function App() {
  const start = useLoad(async (signal) => {
    const api = connect(await locate(document.baseURI, { signal }));
    return { api, models: (await api.models(signal)).models };
  });
  const asked = useHash();
  return html`
    <header class="page masthead">
      <a class="brand" href="./index.html"><img src="./logo.svg" alt="" width="32" height="32" />Perennial</a>
      <nav aria-label="More">
        <a href=${asked ? `./batch.html?model=${encodeURIComponent(asked)}` : "./batch.html"}>Score a file</a>
        ${start.value && html`<a href=${start.value.api.docs}>API reference</a>`}
      </nav>
    </header>
    <main class="page">
      ${start.status === "loading" && html`<${Loading} />`}
      ${
        start.status === "failed" &&
        html`<h1>Perennial</h1>
          <${Failure} error=${start.error} onRetry=${start.retry} />`
      }
      ${start.value?.models.length > 0 && html`<${Models} ...${start.value} />`}
      ${start.value?.models.length === 0 && html`<${Empty} onRetry=${start.retry} />`}
    </main>
    <footer class="page"><p>Perennial keeps models in production fresh.</p></footer>
  `;
}

function Loading() {
  return html`<p class="loading" role="status"><span aria-busy="true">Loading…</span></p>`;
}

function Empty({ onRetry }) {
  return html`
    <h1>No model is serving yet</h1>
    <p>A model appears here once a version of it has passed its gate and was promoted. To train and promote one:</p>
    <pre tabindex="0"><code>perennial cycle model.yaml</code></pre>
    <button type="button" class="quiet" onClick=${onRetry}>Look again</button>
  `;
}

/** The choice among models, kept in the address so that it can be linked to. */
function Models({ api, models }) {
  const asked = useHash();
  const entry = models.find((/** @type {any} */ each) => each.name === asked) ?? models[0];
  useEffect(() => {
    document.title = `${titleOf(entry.name)} · Perennial`;
  }, [entry.name]);
  return html`
    <div class="chooser">
      <label for="model">Model</label>
      <select
        id="model"
        value=${entry.name}
        onChange=${(/** @type {any} */ event) => (location.hash = encodeURIComponent(event.target.value))}
      >
        ${models.map(
          (/** @type {any} */ { name }) => html`<option key=${name} value=${name}>${titleOf(name)}</option>`,
        )}
      </select>
    </div>
    ${asked &&
    asked !== entry.name &&
    html`<p class="changed" role="status">
      No model called “${asked}” is serving. This is ${titleOf(entry.name)}.
    </p>`}
    <${Model} key=${entry.name} api=${api} name=${entry.name} />
  `;
}

/** One model: its form, its answer, its facts. */
function Model({ api, name }) {
  const loaded = useLoad(async (signal) => {
    const [model, schema] = await Promise.all([api.model(name, signal), api.schema(name, signal)]);
    const { target = "", input, image } = schema["x-perennial"] ?? {};
    if (input !== "image") return { Bench: Workbench, given: { model, target, fields: fieldsOf(schema) } };
    return { Bench: await pictureBench(), given: { model, target, limits: image } };
  });
  if (loaded.status === "loading")
    return html`<h1>${titleOf(name)}</h1>
      <${Loading} />`;
  if (loaded.status === "failed")
    return html`<h1>${titleOf(name)}</h1>
      <${Failure} error=${loaded.error} onRetry=${loaded.retry} />`;
  const { Bench, given } = /** @type {{ Bench: any, given: object }} */ (loaded.value);
  return html`<${Bench} api=${api} ...${given} />`;
}

/** The form for pictures, which is loaded when one is asked for. */
async function pictureBench() {
  try {
    const { PictureBench, dressed } = await import("./picture/bench.js");
    await dressed();
    return PictureBench;
  } catch {
    throw new Error("A part of it did not arrive. Load the page again.");
  }
}
