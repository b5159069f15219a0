/**
 * What a model said of a picture, and on demand where it looked.
 */
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";

import { Feedback } from "../feedback.js";
import { Table } from "../parts.js";
import { Answered, Failure, spoken } from "../result.js";
import { figure } from "../words.js";
import { Drawing } from "./choose.js";
import { colorsOf, frameOf, pointsOf, told } from "./heat.js";
import { explainPicture } from "./words.js";

/** Pixels along the longer side that a heat map has at least. */
const ROOM = 320;

/**
 * @typedef {import("./send.js").PictureAnswer} PictureAnswer
 * @typedef {import("./prepare.js").Picture} Picture
 * @typedef {import("./prepare.js").Limits["fit"]} Fit
 *
 * @typedef {{ status: "off" | "busy" | "shown" } | { status: "failed", error: unknown }} Why  Where "why?" stands.
 *
 * @typedef {{ status: "idle" }
 *   | { status: "busy", share: number }
 *   | { status: "answered", answer: PictureAnswer, picture: Picture, changed: boolean, why: Why }
 *   | { status: "failed", error: unknown }} Look  Where one question stands; of a picture, `share` has been sent.
 */

/**
 * @param {object} props
 * @param {Look} props.look
 * @param {import("../api.js").Api} props.api
 * @param {any} props.model
 * @param {string} props.target
 * @param {Fit} props.fit
 * @param {() => void} props.onRetry
 * @param {() => void} props.onWhy
 */
export function PictureAnswer({ look, api, model, target, fit, onRetry, onWhy }) {
  return html`
    <section class="card answer" aria-labelledby="answer-title">
      <h2 id="answer-title">Answer</h2>
      <p class="visually-hidden" role="status">${news(look, target)}</p>
      ${
        look.status === "answered" &&
        html`
          <${Answered}
            answer=${look.answer}
            target=${target}
            changed=${look.changed && "Another picture has been chosen since this answer."}
          />
          <${Looked} look=${look} fit=${fit} onWhy=${onWhy} />
          ${
            look.answer.feedback_token &&
            html`<${Feedback} key=${look.answer.prediction_id} api=${api} answer=${look.answer} model=${model} target=${target} />`
          }
        `
      }
      ${look.status === "failed" && html`<${Refusal} error=${look.error} onRetry=${onRetry} />`}
      ${look.status === "busy" && html`<${Sending} share=${look.share} />`}
      ${look.status === "idle" && html`<p class="muted">Choose a picture and press Predict. The answer appears here.</p>`}
    </section>
  `;
}

/** @param {{ error: unknown, onRetry: () => void }} props */
function Refusal({ error, onRetry }) {
  const words = explainPicture(error);
  return html`<${Failure} error=${error} words=${words} onRetry=${words.again ? onRetry : undefined} />`;
}

/** @param {{ share: number }} props */
function Sending({ share }) {
  const isSent = share >= 1;
  return html`
    <p class="muted" id="sending">${isSent ? "The model is looking at it…" : `Sending: ${Math.floor(share * 100)} %`}</p>
    <progress max="1" value=${isSent ? null : share} aria-label="Progress" aria-describedby="sending"></progress>
  `;
}

/** @param {{ look: Extract<Look, { status: "answered" }>, fit: Fit, onWhy: () => void }} props */
function Looked({ look: { answer, picture, why }, fit, onWhy }) {
  const busy = why.status === "busy";
  const title = useRef(/** @type {HTMLElement | null} */ (null));
  // The button that had the focus is gone by then.
  useEffect(() => {
    if (why.status === "shown") title.current?.focus();
  }, [why.status]);
  return html`
    <section class="looked" aria-labelledby="looked-title">
      <h3 id="looked-title" tabindex="-1" ref=${title}>Where did it look?</h3>
      ${
        answer.explanation
          ? html`<${Heat} explanation=${answer.explanation} picture=${picture} fit=${fit} />`
          : html`<button type="button" class="quiet" aria-busy=${busy ? "true" : null} aria-disabled=${busy ? "true" : null} onClick=${() => busy || onWhy()}>
              Show where the model looked
            </button>`
      }
      ${busy && html`<p class="help">It looks again and again, with another part of the picture covered each time. That takes some seconds.</p>`}
      ${why.status === "failed" && html`<${Failure} error=${why.error} words=${explainPicture(why.error)} />`}
    </section>
  `;
}

/** @param {{ explanation: import("./send.js").Explanation, picture: Picture, fit: Fit }} props */
function Heat({ explanation, picture, fit }) {
  const { drops } = explanation;
  const words = told(explanation);
  const shown = picture.shown ?? { width: ROOM, height: ROOM };
  // A picture of few pixels is drawn larger, or the map would have no more of them.
  const scale = Math.max(1, Math.ceil(ROOM / Math.max(shown.width, shown.height)));
  const [width, height] = [shown.width * scale, shown.height * scale];
  const draw = (/** @type {CanvasRenderingContext2D} */ pen) => {
    if (picture.shown) grey(pen, picture.shown, width, height);
    const place = frameOf(fit, width, height);
    pen.imageSmoothingEnabled = true;
    pen.drawImage(tinted(drops), place.x, place.y, place.width, place.height);
  };
  return html`
    <figure class="heat">
      <${Drawing} label=${`Heat map over ${picture.name}`} width=${width} height=${height} draw=${draw} />
      <figcaption>${words}</figcaption>
    </figure>
    <ul class="legend">
      <li><span class="swatch for" aria-hidden="true"></span>speaks for ${figure(explanation.class)}</li>
      <li><span class="swatch against" aria-hidden="true"></span>speaks against it</li>
    </ul>
    <details>
      <summary>As numbers</summary>
      <${Table}
        caption=${`By how many percentage points the probability of ${figure(explanation.class)} falls when this part of the picture is covered`}
        head=${[html`<span class="visually-hidden">Part</span>`, ...(drops[0] ?? []).map((_, index) => numbered("Column", index))]}
        rows=${pointsOf(drops).map((row, index) => [numbered("Row", index), ...row])}
      />
      <p class="help">This tells where the model looked, not whether it is right.</p>
    </details>
  `;
}

/** Without its own colours, which are not to be taken for those of the map. */
function grey(
  /** @type {CanvasRenderingContext2D} */ pen,
  /** @type {HTMLCanvasElement} */ shown,
  /** @type {number} */ width,
  /** @type {number} */ height,
) {
  pen.imageSmoothingEnabled = false;
  pen.drawImage(shown, 0, 0, width, height);
  pen.globalCompositeOperation = "saturation";
  pen.fillStyle = "black";
  pen.fillRect(0, 0, width, height);
  pen.globalCompositeOperation = "source-over";
}

/** Its number alone to who sees where it stands. */
function numbered(/** @type {string} */ what, /** @type {number} */ index) {
  return html`<span class="visually-hidden">${what} </span>${index + 1}`;
}

/** One pixel for each part. @param {number[][]} drops */
function tinted(drops) {
  const [width, height] = [drops[0].length, drops.length];
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d")?.putImageData(new ImageData(colorsOf(drops), width, height), 0, 0);
  return canvas;
}

/** One sentence for those who hear the answer. @param {Look} look @param {string} target */
function news(look, target) {
  if (look.status === "busy") return "Asking the model.";
  if (look.status !== "answered") return "";
  if (look.why.status === "busy") return "Asking where the model looked.";
  return look.answer.explanation ? told(look.answer.explanation) : spoken(look.answer, target);
}
