/**
 * "Was this right?": what turned out true of an answer, sent back with the token that came with it.
 */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { useLatest } from "./hooks.js";
import { explainFeedback, feedbackThanks, figure } from "./words.js";

const FIELD = "feedback-value";

/**
 * @typedef {{ status: "asking" | "correcting" | "busy" }
 *   | { status: "told", words: string }
 *   | { status: "failed", words: string, again: boolean }} Step  Where the reader stands.
 */

/**
 * @param {{ api: import("./api.js").Api, answer: import("./api.js").Prediction, model: any, target: string }} props
 */
export function Feedback({ api, answer, model, target }) {
  const [step, setStep] = useState(/** @type {Step} */ ({ status: "asking" }));
  const [problem, setProblem] = useState("");
  const truth = useRef(/** @type {string | number} */ (""));
  const status = useRef(/** @type {HTMLElement | null} */ (null));
  const latest = useLatest();

  const send = async (/** @type {string | number} */ value) => {
    truth.current = value;
    setStep({ status: "busy" });
    const label = {
      prediction_id: answer.prediction_id,
      feedback_token: /** @type {string} */ (answer.feedback_token),
      ground_truth: value,
    };
    const outcome = await latest((signal) => api.feedback(answer.model.name ?? model.name, label, signal));
    if (outcome === null) return;
    if ("value" in outcome) return settle({ status: "told", words: feedbackThanks(outcome.value, value) });
    const { words, again, field } = explainFeedback(outcome.error);
    if (field) {
      setProblem(words);
      return setStep({ status: "correcting" });
    }
    settle({ status: "failed", words, again });
  };
  // The buttons that had the focus are gone by now.
  const settle = (/** @type {Step} */ next) => {
    setStep(next);
    status.current?.focus();
  };
  const told = step.status === "told" || step.status === "failed" ? step.words : "";
  return html`
    <section class="feedback" aria-labelledby="feedback-title">
      <h3 id="feedback-title">Was this right?</h3>
      ${
        step.status === "asking" &&
        html`<div class="actions">
          <button type="button" class="quiet" onClick=${() => send(answer.prediction)}>Yes</button>
          <button type="button" class="quiet" onClick=${() => setStep({ status: "correcting" })}>No</button>
        </div>`
      }
      ${
        step.status === "correcting" &&
        html`<${Correction}
          answer=${answer}
          classes=${answer.probabilities ? (model.classes ?? Object.keys(answer.probabilities)) : null}
          target=${target}
          problem=${problem}
          onProblem=${setProblem}
          onSend=${send}
          onCancel=${() => {
            setProblem("");
            setStep({ status: "asking" });
          }}
        />`
      }
      <p class=${step.status === "failed" ? "told bad" : "told"} role="status" tabindex="-1" ref=${status}>
        ${step.status === "busy" ? "Sending…" : told}
      </p>
      ${
        step.status === "failed" &&
        step.again &&
        html`<button type="button" class="quiet" onClick=${() => send(truth.current)}>Send again</button>`
      }
    </section>
  `;
}

/** The true class, or the true number, of an answer that was wrong. */
function Correction({ answer, classes, target, problem, onProblem, onSend, onCancel }) {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => field.current?.focus(), []);
  const others = classes?.filter((/** @type {string} */ each) => each !== String(answer.prediction));
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const text = field.current?.value.trim() ?? "";
    const value = others ? others[Number(text)] : Number(text);
    if (text === "" || (!others && !Number.isFinite(value))) {
      onProblem(others ? "Choose the true value." : "Enter a number, such as 12.5.");
      return field.current?.focus();
    }
    onSend(value);
  };
  const shared = {
    id: FIELD,
    ref: field,
    required: true,
    "aria-invalid": problem ? "true" : null,
    "aria-describedby": problem ? `${FIELD}-error` : null,
    onInput: () => onProblem(""),
  };
  return html`
    <form novalidate onSubmit=${submit} class="field">
      <label for=${FIELD}>${target ? `True value of ${target}` : "True value"}</label>
      ${
        others
          ? html`<select ...${shared}>
              ${others.length !== 1 && html`<option value="">Choose…</option>`}
              ${others.map(
                (/** @type {string} */ each, /** @type {number} */ index) =>
                  html`<option key=${each} value=${index}>${figure(each)}</option>`,
              )}
            </select>`
          : html`<input ...${shared} type="number" step="any" inputmode="decimal" autocomplete="off" />`
      }
      ${problem && html`<p class="error" id=${`${FIELD}-error`}>${problem}</p>`}
      <div class="actions">
        <button type="submit">Send</button>
        <button type="button" class="quiet" onClick=${onCancel}>Cancel</button>
      </div>
    </form>
  `;
}
