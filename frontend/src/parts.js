/**
 * What pages are made of: tables, badges, moments, choices.
 */
import { html } from "htm/preact";
import { useId } from "preact/hooks";

import { moment } from "./words.js";

const LONG = 24;
const SHORT = 16;

/** A moment in the reader's zone. @param {{ iso: string }} props */
export function When({ iso }) {
  return html`<time datetime=${iso}>${moment(iso)}</time>`;
}

/** @param {{ state: string, children?: any }} props */
export function Badge({ state, children }) {
  return html`<span class=${`badge ${state}`}>${children}</span>`;
}

/**
 * A table that scrolls by itself where it is too wide, by keyboard too. The first cell of a row is its header.
 *
 * @param {{ caption: string, head: string[], rows: any[][], numeric?: boolean }} props
 */
export function Table({ caption, head, rows, numeric = true }) {
  const id = useId();
  return html`
    <p class="caption" id=${id}>${caption}</p>
    <div class=${rows.length > LONG ? "scroll long" : "scroll"} role="region" aria-labelledby=${id} tabindex="0">
      <table class=${numeric ? "numeric" : ""} aria-labelledby=${id}>
        <thead>
          <tr>
            ${head.map((each, column) => html`<th scope="col" key=${column}>${each}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            ([first, ...rest], row) =>
              html`<tr key=${row}>
                <th scope="row">${first}</th>
                ${rest.map((cell, column) => html`<td key=${column} class=${isShort(cell) ? "tight" : ""}>${cell}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  `;
}

/** Whether a cell is a number or a word, which no line break may cut. */
function isShort(/** @type {unknown} */ cell) {
  return typeof cell === "string" && cell.length < SHORT;
}

/** @param {{ id: string, label: string, value: string, options: { value: string, text: string }[], onChange: (value: string) => void }} props */
export function Chooser({ id, label, value, options, onChange }) {
  return html`
    <div class="chooser">
      <label for=${id}>${label}</label>
      <select id=${id} value=${value} onChange=${(/** @type {any} */ event) => onChange(event.target.value)}>
        ${options.map((each) => html`<option key=${each.value} value=${each.value}>${each.text}</option>`)}
      </select>
    </div>
  `;
}
