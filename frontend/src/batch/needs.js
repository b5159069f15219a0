/**
 * What a model reads of a file.
 */
import { html } from "htm/preact";

import { useLoad } from "../hooks.js";
import { Table } from "../parts.js";
import { fieldsOf } from "../schema.js";
import { holds } from "./words.js";

/**
 * @param {{ api: import("../api.js").Api, name: string, onKnown: (input: "tabular" | "image") => void }} props
 *   `onKnown` is told what the model reads as soon as that is known.
 */
export function Needs({ api, name, onKnown }) {
  const loaded = useLoad(async (signal) => {
    const schema = await api.schema(name, signal);
    const input = schema["x-perennial"]?.input ?? "tabular";
    const fields = input === "image" ? null : fieldsOf(schema);
    onKnown(input);
    return { fields };
  });
  return html`
    <section class="card" aria-labelledby="columns-title">
      <h2 id="columns-title">What the file needs</h2>
      ${loaded.status === "loading" && html`<p class="muted">Loading…</p>`}
      ${loaded.status === "failed" && html`<p class="muted">What this model needs cannot be told at the moment.</p>`}
      ${loaded.value && (loaded.value.fields ? html`<${Columns} fields=${loaded.value.fields} />` : html`<${Pictures} />`)}
    </section>
  `;
}

/** @param {{ fields: import("../schema.js").Field[] }} props */
function Columns({ fields }) {
  return html`
    <${Table}
      caption="One column for each of these, in any order"
      head=${["Column", "Holds"]}
      rows=${fields.map((field) => [
        html`<code>${field.name}</code>`,
        `${holds(field)}${field.required ? "" : ". May be empty"}`,
      ])}
    />
    <p class="help">
      Other columns may be there. A row that does not fit is left out with its reason; all others are scored.
    </p>
  `;
}

function Pictures() {
  return html`
    <p>JPEG, PNG, WebP, GIF, BMP or TIFF, told by their content. In a zip, each picture is a row, named by its path.</p>
    <p>A table may name pictures that are stored already, by their SHA-256 in a column <code>image</code>.</p>
    <p class="help">A picture that cannot be read is left out with its reason; all others are scored.</p>
  `;
}
