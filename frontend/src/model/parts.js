/**
 * What every part of the page is made of: tables, figures, badges.
 */
import { html } from "htm/preact";
import { useId, useState } from "preact/hooks";

import { moment } from "../words.js";
import { parts } from "./text.js";

export const NO_PASS = "No monitoring pass yet.";

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
            ${head.map((each) => html`<th scope="col" key=${each}>${each}</th>`)}
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

/** A table that is built when it is opened. @param {{ summary: string, children: () => any }} props */
export function More({ summary, children }) {
  const [open, setOpen] = useState(false);
  return html`
    <details onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}>
      <summary>${summary}</summary>
      ${open && children()}
    </details>
  `;
}

/**
 * A chart with its caption and its table.
 *
 * @param {{ title: string, caption: string, table: () => any, children: any, titled?: boolean }} props
 *   `titled` where the picture itself shows the title.
 */
export function Figure({ title, caption, table, children, titled = false }) {
  return html`
    <figure class="figure">
      <h3 class=${titled ? "visually-hidden" : ""}>${title}</h3>
      ${children}
      <figcaption>${caption}</figcaption>
      <${More} summary=${`Table: ${title}`}>${table}<//>
    </figure>
  `;
}

/** Words that others wrote, with what stands in backticks as code. @param {{ text: string }} props */
export function Prose({ text }) {
  return parts(text).map(({ code, words }, index) => (code ? html`<code key=${index}>${words}</code>` : words));
}

/** One section of the page. @param {{ id: string, title: string, children?: any }} props */
export function Section({ id, title, children }) {
  return html`
    <section class="card" id=${id} aria-labelledby=${`${id}-title`}>
      <h2 id=${`${id}-title`}>${title}</h2>
      ${children}
    </section>
  `;
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
