/**
 * What the sections of the page are made of: figures, prose, what opens.
 */
import { html } from "htm/preact";
import { useState } from "preact/hooks";

import { parts } from "./text.js";

export const NO_PASS = "No monitoring pass yet.";

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
