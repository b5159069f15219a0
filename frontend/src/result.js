/**
 * What the API answered, and what is known of the model that did.
 */
import { html } from "htm/preact";

import { Feedback } from "./feedback.js";
import { explain, figure, metricName, metricValue, moment, percent } from "./words.js";

const SHOWN = 10;

/**
 * @typedef {import("./api.js").Prediction} Prediction
 *
 * @typedef {{ status: "idle" | "busy" | "refused" }
 *   | { status: "answered", answer: Prediction, changed: boolean }
 *   | { status: "failed", error: unknown }} Ask  Where one question stands.
 */

/** @param {{ ask: Ask, api: import("./api.js").Api, model: any, target: string, onRetry: () => void }} props */
export function Answer({ ask, api, model, target, onRetry }) {
  return html`
    <section class="card answer" aria-labelledby="answer-title">
      <h2 id="answer-title">Answer</h2>
      <p class="visually-hidden" role="status">${news(ask, target)}</p>
      ${
        ask.status === "answered" &&
        html`<${Answered}
          answer=${ask.answer}
          target=${target}
          changed=${ask.changed && "The values have changed since this answer."}
        />`
      }
      ${
        ask.status === "answered" &&
        ask.answer.feedback_token &&
        html`<${Feedback}
          key=${ask.answer.prediction_id}
          api=${api}
          answer=${ask.answer}
          model=${model}
          target=${target}
        />`
      }
      ${ask.status === "failed" && html`<${Failure} error=${ask.error} onRetry=${onRetry} />`}
      ${ask.status === "busy" && html`<p class="muted">Asking…</p>`}
      ${
        ask.status === "idle" && html`<p class="muted">Fill in the form and press Predict. The answer appears here.</p>`
      }
      ${ask.status === "refused" && html`<p class="muted">Correct the marked values and press Predict again.</p>`}
    </section>
  `;
}

/**
 * What was answered, by whom. @param {{ answer: Prediction, target: string, changed: string | false }} props
 *   `changed` says what is not as it was when this was asked.
 */
export function Answered({ answer, target, changed }) {
  return html`
    ${changed && html`<p class="changed">${changed}</p>`}
    <p class="prediction">
      ${target && html`<span class="target">${target}</span>`}
      <data value=${String(answer.prediction)}>${figure(answer.prediction)}</data>
    </p>
    ${answer.probabilities && html`<${Bars} probabilities=${answer.probabilities} />`}
    <dl class="facts small">
      <${Fact} term="Model version"><code>${answer.model.version}</code><//>
      <${Fact} term="Dataset"><${Digest} value=${answer.model.dataset} /><//>
      <${Fact} term="Prediction"><code>${answer.prediction_id}</code><//>
    </dl>
  `;
}

/** Probabilities, likeliest first; a long tail is summed up. */
function Bars({ probabilities }) {
  const sorted = Object.entries(probabilities).sort(([, a], [, b]) => b - a);
  const rest = sorted.slice(SHOWN);
  const tail = rest.reduce((sum, [, share]) => sum + share, 0);
  return html`
    <ul class="bars" aria-label="Probabilities">
      ${sorted.slice(0, SHOWN).map(
        ([label, share]) => html`
          <li key=${label}>
            <span class="label">${label}</span><span class="share">${percent(share)}</span>
            <progress value=${share} max="1" aria-label=${label} aria-valuetext=${percent(share)}></progress>
          </li>
        `,
      )}
      ${
        rest.length > 0 &&
        html`<li class="muted">
          <span class="label">${rest.length} more</span><span class="share">${percent(tail)}</span>
        </li>`
      }
    </ul>
  `;
}

/**
 * What happened and what to do; announced at once.
 * @param {{ error: unknown, words?: { title: string, advice: string }, onRetry?: () => void }} props
 */
export function Failure({ error, words = explain(error), onRetry }) {
  const { title, advice } = words;
  const requestId = /** @type {any} */ (error)?.requestId;
  return html`
    <div class="failure" role="alert">
      <p><strong>${title}</strong></p>
      <p>${advice}</p>
      ${requestId && html`<p class="help">Request <code>${requestId}</code></p>`}
      ${onRetry && html`<button type="button" class="quiet" onClick=${onRetry}>Try again</button>`}
    </div>
  `;
}

/** What is known of the serving version. Nothing is shown that the API did not say. */
export function ModelFacts({ model, rows = "rows", whole = "Score a whole file" }) {
  const metric = model.metrics?.[model.metric];
  const others = Object.entries(model.metrics ?? {}).filter(([name]) => name !== model.metric);
  return html`
    <section class="card" aria-labelledby="facts-title">
      <h2 id="facts-title">This model</h2>
      <dl class="facts">
        ${model.version && html`<${Fact} term="Version"><code>${model.version}</code><//>`}
        ${
          model.promoted_at &&
          html`<${Fact} term="Promoted"><time datetime=${model.promoted_at}>${moment(model.promoted_at)}</time><//>`
        }
        ${metric && html`<${Fact} term=${metricName(model.metric)}>${metricValue(metric)}<//>`}
        ${model.candidate && html`<${Fact} term="Candidate">${model.candidate}<//>`}
        ${model.dataset && html`<${Fact} term="Dataset"><${Digest} value=${model.dataset} /><//>`}
        ${model.holdout_rows && html`<${Fact} term="Measured on">${figure(model.holdout_rows)} ${rows} it never saw<//>`}
      </dl>
      <p class="onward">
        <a href=${`./model.html#${encodeURIComponent(model.name)}`}>Versions, drift and performance</a>
        <a href=${`./batch.html?model=${encodeURIComponent(model.name)}`}>${whole}</a>
      </p>
      ${
        others.length > 0 &&
        html`<details>
          <summary>All metrics</summary>
          <dl class="facts small">
            ${others.map(
              ([name, each]) => html`<${Fact} key=${name} term=${metricName(name)}>${metricValue(each)}<//>`,
            )}
          </dl>
          <p class="help">On the holdout; in brackets the 95 % interval.</p>
        </details>`
      }
    </section>
  `;
}

function Fact({ term, children }) {
  return html`<div>
    <dt>${term}</dt>
    <dd>${children}</dd>
  </div>`;
}

/** A long digest: its start, and all of it on demand, ready to copy. */
function Digest({ value }) {
  if (value.length <= 20) return html`<code>${value}</code>`;
  return html`
    <details class="digest">
      <summary title=${value}><code>${value.slice(0, 12)}…</code></summary>
      <code class="whole">${value}</code>
    </details>
  `;
}

/** What those hear who do not see it. @param {Ask} ask @param {string} target */
function news(ask, target) {
  if (ask.status === "busy") return "Asking the model.";
  return ask.status === "answered" ? spoken(ask.answer, target) : "";
}

/** An answer in one sentence. @param {Prediction} answer @param {string} target */
export function spoken({ prediction, probabilities }, target) {
  const share = probabilities?.[String(prediction)];
  return `${target || "Prediction"}: ${figure(prediction)}${share === undefined ? "" : `, ${percent(share)}`}.`;
}
