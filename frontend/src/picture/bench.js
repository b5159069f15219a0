/**
 * One model of pictures at work: the picture, where the question stands, the answer and the model's facts.
 *
 * Loaded when such a model is chosen, so that who asks a model of tables does not wait for it.
 */
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";

import { nameOf } from "../files.js";
import { reveal, useLatest } from "../hooks.js";
import { ModelFacts } from "../result.js";
import { purpose, titleOf } from "../words.js";
import { PictureAnswer } from "./answer.js";
import { PictureForm } from "./choose.js";
import { PictureError, prepare } from "./prepare.js";
import { ask } from "./send.js";

/**
 * @typedef {import("./answer.js").Look} Look
 * @typedef {import("./answer.js").Why} Why
 * @typedef {import("./choose.js").Choice} Choice
 * @typedef {import("./prepare.js").Limits} Limits
 * @typedef {import("./prepare.js").Picture} Picture
 */

const NOTHING = /** @type {Choice} */ ({ picture: null, opening: false, problem: "" });

/** The style sheet of what is drawn here, before anything is. */
export function dressed() {
  const sheet = Object.assign(document.createElement("link"), {
    rel: "stylesheet",
    href: new URL(PICTURE_STYLE, import.meta.url).href,
  });
  return new Promise((done) => {
    sheet.onload = sheet.onerror = done;
    document.head.append(sheet);
  });
}

/**
 * @param {{ api: import("../api.js").Api, model: any, limits: Limits, target: string }} props
 *   `model` is what `GET /models/{m}` answers, `limits` what its schema says of pictures.
 */
export function PictureBench({ api, model, limits, target }) {
  const [facts, setFacts] = useState(model);
  const panel = useRef(/** @type {HTMLElement | null} */ (null));
  const { look, send, why, touch, clear } = useLook(api, model.name, (answer) => {
    reveal(panel.current);
    if (answer && answer.model.version !== facts.version) api.model(model.name).then(setFacts, () => {});
  });
  const chosen = useChoice(limits, touch);
  const { picture } = chosen.choice;
  const predict = () => (picture ? send(picture) : chosen.miss());
  return html`
    <hgroup>
      <h1>${titleOf(model.name)}</h1>
      <p>${purpose(facts, target)}</p>
    </hgroup>
    <div class="bench">
      <section class="card" aria-labelledby="form-title">
        <h2 id="form-title">Picture</h2>
        <${PictureForm}
          choice=${chosen.choice}
          limits=${limits}
          busy=${look.status === "busy"}
          onFiles=${chosen.take}
          onSend=${predict}
          onClear=${() => {
            if (look.status !== "busy") chosen.forget();
            clear();
          }}
        />
      </section>
      <div class="side" ref=${panel}>
        <${PictureAnswer}
          look=${look}
          api=${api}
          model=${facts}
          target=${target}
          fit=${limits.fit}
          onRetry=${predict}
          onWhy=${why}
        />
        <${ModelFacts} model=${facts} rows="pictures" whole="Score many pictures" />
      </div>
    </div>
  `;
}

/** What has been chosen; a file that takes long to open gives way to a later one. */
function useChoice(/** @type {Limits} */ limits, /** @type {() => void} */ onChange) {
  const [choice, setChoice] = useState(NOTHING);
  const latest = useLatest();
  const take = async (/** @type {File[]} */ files) => {
    onChange();
    setChoice({ ...NOTHING, opening: true });
    const outcome = await latest(() => prepare(files[0], limits));
    if (outcome === null) return;
    if ("error" in outcome) {
      const words = outcome.error instanceof PictureError ? outcome.error.message : "It cannot be opened on this device.";
      return setChoice({ ...NOTHING, problem: `“${nameOf(files[0])}”: ${words}` });
    }
    const note = files.length > 1 ? `${outcome.value.note} One at a time: the first of ${files.length} was taken.` : outcome.value.note;
    setChoice({ ...NOTHING, picture: { ...outcome.value, note: note.trim() } });
  };
  const forget = () => {
    latest(async () => null);
    setChoice(NOTHING);
  };
  const miss = () => choice.opening || setChoice((now) => ({ ...now, problem: now.problem || "Choose a picture first." }));
  return { choice, take, forget, miss };
}

/**
 * Where one question stands, from the first byte sent to the answer and to why.
 *
 * @param {import("../api.js").Api} api
 * @param {string} name
 * @param {(answer: import("../api.js").Prediction | null) => void} onSettled  Called when there is something to read.
 */
function useLook(api, name, onSettled) {
  const [look, setLook] = useState(/** @type {Look} */ ({ status: "idle" }));
  const changed = useRef(false);
  const latest = useLatest();
  const question = (/** @type {Picture} */ { blob }, /** @type {boolean} */ explain, onProgress = (/** @type {number} */ _) => {}) =>
    latest((signal) => ask(api.asked(name), blob, { explain, onProgress }, signal));

  const send = async (/** @type {Picture} */ picture) => {
    changed.current = false;
    setLook({ status: "busy", share: 0 });
    const outcome = await question(picture, false, (share) =>
      setLook((now) => (now.status === "busy" ? { status: "busy", share } : now)),
    );
    if (outcome === null) return;
    if ("error" in outcome) setLook({ status: "failed", error: outcome.error });
    else setLook({ status: "answered", answer: outcome.value, picture, changed: changed.current, why: { status: "off" } });
    onSettled("value" in outcome ? outcome.value : null);
  };
  const why = async () => {
    if (look.status !== "answered") return;
    const { answer, picture } = look;
    const set = (/** @type {Why} */ next, said = answer) =>
      setLook((now) => (now.status === "answered" ? { ...now, answer: said, why: next } : now));
    set({ status: "busy" });
    const outcome = await question(picture, true);
    if (outcome === null) return;
    if ("error" in outcome) return set({ status: "failed", error: outcome.error });
    const again = outcome.value;
    // Of another version that was promoted meanwhile, the whole answer counts; else the first one, with its token.
    const same = again.model.version === answer.model.version;
    set({ status: "shown" }, same ? { ...answer, explanation: again.explanation } : again);
    if (!same) onSettled(again);
  };
  const touch = () => {
    changed.current = true;
    setLook((now) => {
      if (now.status === "answered") return { ...now, changed: true };
      return now.status === "failed" ? { status: "idle" } : now;
    });
  };
  const clear = () => {
    latest(async () => null);
    setLook({ status: "idle" });
  };
  return { look, send, why, touch, clear };
}
