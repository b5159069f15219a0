/**
 * One model at work: its form, where the question stands, its answer and its facts.
 */
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";

import { ApiError } from "./api.js";
import { RecordForm } from "./form.js";
import { reveal, useLatest } from "./hooks.js";
import { Answer, ModelFacts } from "./result.js";
import { readRecord } from "./schema.js";
import { purpose, titleOf } from "./words.js";

/**
 * @typedef {import("./result.js").Ask} Ask
 * @typedef {import("./schema.js").Entry} Entry
 * @typedef {import("./schema.js").Field} Field
 */

/**
 * @param {{ api: import("./api.js").Api, model: any, fields: Field[], target: string }} props
 *   `model` is what `GET /models/{m}` answers, `target` the name of what is predicted.
 */
export function Workbench({ api, model, fields, target }) {
  const [facts, setFacts] = useState(model);
  const panel = useRef(/** @type {HTMLElement | null} */ (null));
  const question = useQuestion(api, model.name, fields, (answer) => {
    reveal(panel.current);
    // A newer version may have been promoted since the page was opened.
    if (answer && answer.model.version !== facts.version) api.model(model.name).then(setFacts, () => {});
  });
  return html`
    <hgroup>
      <h1>${titleOf(model.name)}</h1>
      <p>${purpose(facts, target)}</p>
    </hgroup>
    <div class="bench">
      <section class="card" aria-labelledby="form-title">
        <h2 id="form-title">Record</h2>
        <${RecordForm}
          fields=${fields}
          busy=${question.ask.status === "busy"}
          errors=${question.errors}
          attempt=${question.attempt}
          onSend=${question.send}
          onEdit=${question.edit}
          onClear=${question.clear}
        />
      </section>
      <div class="side" ref=${panel}>
        <${Answer} ask=${question.ask} api=${api} model=${facts} target=${target} onRetry=${question.again} />
        <${ModelFacts} model=${facts} />
      </div>
    </div>
  `;
}

/**
 * Where one question stands, from the first keystroke to the answer. A record that is wrong, by our own check or
 * by the server's, never reaches the answer: its problems go to the fields.
 *
 * @param {import("./api.js").Api} api
 * @param {string} name
 * @param {Field[]} fields
 * @param {(answer: import("./api.js").Prediction | null) => void} onSettled  Called when there is something to read.
 */
function useQuestion(api, name, fields, onSettled) {
  const [ask, setAsk] = useState(/** @type {Ask} */ ({ status: "idle" }));
  const [refusal, setRefusal] = useState({ errors: /** @type {Map<string, string>} */ (new Map()), attempt: 0 });
  const sent = useRef({ record: /** @type {object} */ ({}), changed: false });
  const latest = useLatest();

  const settle = (/** @type {Ask} */ next, /** @type {import("./api.js").Prediction | null} */ answer = null) => {
    setAsk(next);
    onSettled(answer);
  };
  const refuse = (/** @type {Map<string, string>} */ errors) => {
    setAsk({ status: "refused" });
    setRefusal(({ attempt }) => ({ errors, attempt: attempt + 1 }));
  };
  const accept = () => setRefusal(({ attempt }) => ({ errors: new Map(), attempt }));
  const again = async () => {
    const { record } = sent.current;
    setAsk({ status: "busy" });
    const outcome = await latest((signal) => api.predict(name, record, signal));
    if (outcome === null) return;
    if ("value" in outcome) {
      return settle({ status: "answered", answer: outcome.value, changed: sent.current.changed }, outcome.value);
    }
    const { error } = outcome;
    if (error instanceof ApiError && error.kind === "invalid" && error.problems.length > 0) {
      return refuse(new Map(error.problems.map((each) => [each.field, each.reason])));
    }
    settle({ status: "failed", error });
  };
  const send = (/** @type {Map<string, Entry>} */ entries) => {
    const read = readRecord(fields, entries);
    if (read.errors.size > 0) return refuse(read.errors);
    accept();
    sent.current = { record: read.record, changed: false };
    return again();
  };
  const edit = (/** @type {string} */ field) => {
    sent.current.changed = true;
    setRefusal(({ errors, attempt }) => ({ errors: new Map([...errors].filter(([each]) => each !== field)), attempt }));
    setAsk((now) => (now.status === "answered" ? { ...now, changed: true } : now));
  };
  const clear = () => {
    latest(async () => null);
    accept();
    setAsk({ status: "idle" });
  };
  return { ask, errors: refusal.errors, attempt: refusal.attempt, send, again, edit, clear };
}
