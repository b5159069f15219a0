/**
 * Choosing a picture: from the disk, dropped, pasted or photographed; and what it looks like.
 */
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";

import { useDropped } from "../drop.js";
import { bytes } from "../files.js";
import { formats } from "./prepare.js";
import { facts } from "./words.js";

/**
 * @typedef {import("./prepare.js").Limits} Limits
 * @typedef {import("./prepare.js").Picture} Picture
 *
 * @typedef {object} Choice          What has been chosen.
 * @property {Picture | null} picture
 * @property {boolean} opening       Whether a file is being looked at.
 * @property {string} problem        Why there is no picture; empty where none was refused.
 */

/**
 * @param {object} props
 * @param {Choice} props.choice
 * @param {Limits} props.limits
 * @param {boolean} props.busy
 * @param {(files: File[]) => void} props.onFiles
 * @param {() => void} props.onSend
 * @param {() => void} props.onClear
 */
export function PictureForm({ choice, limits, busy, onFiles, onSend, onClear }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const camera = useRef(/** @type {HTMLInputElement | null} */ (null));
  const empty = () => {
    for (const each of [input, camera]) if (each.current) each.current.value = "";
  };
  const over = useDropped((list) => {
    empty();
    onFiles([...list]);
    input.current?.focus();
  });
  usePasted((files) => {
    empty();
    onFiles(files);
  });
  const send = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (choice.picture === null) input.current?.focus();
    if (!busy) onSend();
  };
  const clear = () => {
    empty();
    onClear();
    input.current?.focus();
  };
  const picked = (/** @type {any} */ { target }) => target.files.length > 0 && onFiles([...target.files]);
  return html`
    <form novalidate onSubmit=${send} aria-labelledby="form-title">
      <div class=${over ? "drop over" : "drop"}>
        <label for="picture">Choose a picture, drop one here, or paste one</label>
        <input
          ref=${input}
          id="picture"
          type="file"
          accept="image/*"
          required
          aria-describedby="picture-help picture-problem"
          aria-invalid=${choice.problem ? "true" : null}
          onChange=${picked}
        />
        <input ref=${camera} id="photograph" type="file" accept="image/*" capture="environment" hidden onChange=${picked} />
        <button type="button" class="quiet camera" onClick=${() => camera.current?.click()}>Take a photograph</button>
        <p class="help" id="picture-help">
          ${formats(limits.media_types)}. One of more than ${bytes(limits.max_bytes)} is made smaller before it is sent.
        </p>
        <div id="picture-problem" role="alert">
          ${choice.problem && html`<p class="error">${choice.problem}</p>`}
        </div>
      </div>
      <${Preview} choice=${choice} />
      <div class="actions">
        <button type="submit" aria-busy=${busy ? "true" : null} aria-disabled=${busy ? "true" : null}>Predict</button>
        <button type="button" class="quiet" onClick=${clear}>${busy ? "Cancel" : "Clear"}</button>
      </div>
    </form>
  `;
}

/** @param {{ choice: Choice }} props */
function Preview({ choice: { picture, opening } }) {
  return html`
    <figure class="preview">
      ${picture?.shown && html`<${Drawing} label=${`Preview of ${picture.name}`} width=${picture.shown.width} height=${picture.shown.height} draw=${paste(picture.shown)} />`}
      <figcaption>
        <p role="status">
          ${opening && "Opening the picture…"}
          ${!opening && picture && html`<strong>${picture.name}</strong> <span class="muted">${facts(picture)}</span>`}
        </p>
      </figcaption>
    </figure>
  `;
}

const paste = (/** @type {HTMLCanvasElement} */ shown) => (/** @type {CanvasRenderingContext2D} */ pen) =>
  pen.drawImage(shown, 0, 0);

/**
 * A canvas that is a picture to who cannot see it.
 *
 * @param {{ label: string, width: number, height: number, draw: (pen: CanvasRenderingContext2D) => void }} props
 */
export function Drawing({ label, width, height, draw }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  useEffect(() => {
    const pen = canvas.current?.getContext("2d");
    pen?.clearRect(0, 0, width, height);
    if (pen) draw(pen);
  });
  return html`<canvas ref=${canvas} role="img" aria-label=${label} width=${width} height=${height}></canvas>`;
}

/** Pictures pasted anywhere on the page; text goes where it was meant to. @param {(files: File[]) => void} onFiles */
function usePasted(onFiles) {
  const react = useRef(onFiles);
  react.current = onFiles;
  useEffect(() => {
    const take = (/** @type {ClipboardEvent} */ event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length === 0) return;
      event.preventDefault();
      react.current(files);
    };
    addEventListener("paste", take);
    return () => removeEventListener("paste", take);
  }, []);
}
