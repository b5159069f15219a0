/**
 * Choosing files, by dropping them or from the disk, and how they are to come back.
 */
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";

import { useDropped } from "../drop.js";
import { beginning, bytes } from "../files.js";
import { listed, objection } from "./words.js";

const KINDS = ".csv,.tsv,.txt,.jsonl,.ndjson,.parquet,.gz";
const OUTPUTS = [
  { value: "", text: "Automatic" },
  { value: "csv", text: "CSV" },
  { value: "parquet", text: "Parquet" },
];

/**
 * @typedef {import("./jobs.js").Options} Options
 *
 * @param {{ onScore: (files: File[], options: Options) => void }} props
 */
export function Choose({ onScore }) {
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const [files, setFiles] = useState(/** @type {File[]} */ ([]));
  const [problems, setProblems] = useState(/** @type {string[]} */ ([]));
  const looks = useRef(0);

  const take = async (/** @type {FileList | null} */ list) => {
    const mine = (looks.current += 1);
    const looked = await Promise.all([...(list ?? [])].map(look));
    if (mine !== looks.current) return;
    setFiles(looked.filter(({ reason }) => !reason).map(({ file }) => file));
    setProblems(looked.map(({ reason }) => reason).filter(Boolean));
  };
  const over = useDropped((list) => {
    if (input.current) input.current.files = list;
    input.current?.focus();
    take(list);
  });
  const send = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (files.length === 0) {
      if (problems.length === 0) setProblems(["Choose a file first."]);
      return input.current?.focus();
    }
    const elements = /** @type {HTMLFormElement} */ (form.current).elements;
    const output = /** @type {HTMLSelectElement} */ (elements.namedItem("output")).value || null;
    const { checked } = /** @type {HTMLInputElement} */ (elements.namedItem("keep"));
    /** @type {HTMLInputElement} */ (input.current).value = "";
    looks.current += 1;
    setFiles([]);
    setProblems([]);
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
          accept=${KINDS}
          aria-describedby="files-help files-problem"
          aria-invalid=${problems.length > 0 ? "true" : null}
          onChange=${(/** @type {any} */ event) => take(event.target.files)}
        />
        <p class="help" id="files-help">
          CSV with any usual delimiter, JSON Lines or Parquet; CSV and JSON Lines also packed with gzip.
        </p>
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
        (/** @type {File} */ { name, size }, /** @type {number} */ index) =>
          html`<li key=${index}><span>${name}</span> <span class="muted">${bytes(size)}</span></li>`,
      )}
    </ul>
  `;
}

/** A file, and why it is not worth sending. */
async function look(/** @type {File} */ file) {
  return { file, reason: objection(file, await beginning(file, 4)) };
}
