/**
 * Choosing files, by dropping them or from the disk, and how they are to come back.
 */
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";

import { useDropped } from "../drop.js";
import { beginning, bytes, nameOf } from "../files.js";
import { listed, objection } from "./words.js";

const TABLES = ".csv,.tsv,.txt,.jsonl,.ndjson,.parquet,.gz";
const TAKEN = {
  tabular: {
    kinds: TABLES,
    help: "CSV with any usual delimiter, JSON Lines or Parquet; CSV and JSON Lines also packed with gzip.",
  },
  image: { kinds: `.zip,image/*,${TABLES}`, help: "A zip of pictures, in folders or not, or a single picture." },
};
const OUTPUTS = [
  { value: "", text: "Automatic" },
  { value: "csv", text: "CSV" },
  { value: "parquet", text: "Parquet" },
];

/**
 * @typedef {import("./jobs.js").Options} Options
 * @typedef {{ file: File, start: Uint8Array | null }} Looked  A file, and how it begins; null where it cannot be read.
 *
 * @param {{ input: import("./words.js").Input, onScore: (files: File[], options: Options) => void }} props
 */
export function Choose({ input: reads, onScore }) {
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const [looked, setLooked] = useState(/** @type {Looked[]} */ ([]));
  const [hasMissed, setMissed] = useState(false);
  const looks = useRef(0);
  // Judged anew when another model is chosen.
  const judged = looked.map(({ file, start }) => ({ file, reason: objection(file, start, reads) }));
  const files = judged.filter(({ reason }) => !reason).map(({ file }) => file);
  const problems = judged.map(({ reason }) => reason).filter(Boolean);
  if (hasMissed && looked.length === 0) problems.push("Choose a file first.");
  const { kinds, help } = TAKEN[reads ?? "tabular"];

  const take = async (/** @type {FileList | null} */ list) => {
    const mine = (looks.current += 1);
    const found = await Promise.all([...(list ?? [])].map(look));
    if (mine !== looks.current) return;
    setLooked(found);
    setMissed(false);
  };
  const over = useDropped((list) => {
    if (input.current) input.current.files = list;
    input.current?.focus();
    take(list);
  });
  const send = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (files.length === 0) {
      setMissed(true);
      return input.current?.focus();
    }
    const elements = /** @type {HTMLFormElement} */ (form.current).elements;
    const output = /** @type {HTMLSelectElement} */ (elements.namedItem("output")).value || null;
    const { checked } = /** @type {HTMLInputElement} */ (elements.namedItem("keep"));
    /** @type {HTMLInputElement} */ (input.current).value = "";
    looks.current += 1;
    setLooked([]);
    setMissed(false);
    onScore(files, { output, keep: checked });
  };
  return html`
    <form ref=${form} novalidate onSubmit=${send} aria-labelledby="form-title">
      <div class=${over ? "drop over" : "drop"}>
        <label for="files">Choose files, or drop them here</label>
        <input
          ref=${input}
          id="files"
          type="file"
          multiple
          accept=${kinds}
          aria-describedby="files-help files-problem"
          aria-invalid=${problems.length > 0 ? "true" : null}
          onChange=${(/** @type {any} */ event) => take(event.target.files)}
        />
        <p class="help" id="files-help">${help}</p>
        <div id="files-problem" role="alert">
          ${problems.map((each) => html`<p class="error" key=${each}>${each}</p>`)}
        </div>
        ${files.length > 0 && html`<${Chosen} files=${files} />`}
      </div>
      <div class="fields">
        <div class="field">
          <label for="output">Results as</label>
          <select id="output" name="output" aria-describedby="output-help">
            ${OUTPUTS.map(({ value, text }) => html`<option key=${value} value=${value}>${text}</option>`)}
          </select>
          <p class="help" id="output-help">Automatic: as the model's spec says, or else like the file.</p>
        </div>
        <div class="field check">
          <label><input type="checkbox" name="keep" defaultChecked aria-describedby="keep-help" />Keep the file's columns</label>
          <p class="help" id="keep-help">Without them: row number, id where there is one, and what the model says.</p>
        </div>
      </div>
      <div class="actions">
        <button type="submit">Score ${files.length > 0 ? listed(files) : "the file"}</button>
      </div>
    </form>
  `;
}

function Chosen({ files }) {
  return html`
    <ul class="chosen" aria-label="Chosen">
      ${files.map(
        (/** @type {File} */ file, /** @type {number} */ index) =>
          html`<li key=${index}><span>${nameOf(file)}</span> <span class="muted">${bytes(file.size)}</span></li>`,
      )}
    </ul>
  `;
}

async function look(/** @type {File} */ file) {
  return { file, start: await beginning(file, 4) };
}
