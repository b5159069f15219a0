/**
 * The form drawn from a model's fields: controls, labels, help and errors tied together for every reader.
 */
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";

/**
 * @typedef {import("./schema.js").Field} Field
 * @typedef {import("./schema.js").Entry} Entry
 */

/**
 * Controls keep their own text; the form reads them when it is sent, so typing redraws nothing.
 *
 * @param {object} props
 * @param {Field[]} props.fields
 * @param {boolean} props.busy
 * @param {Map<string, string>} props.errors  By field name; a name that is no field's is shown in the summary alone.
 * @param {number} props.attempt              Grows with each refused attempt; moves the focus to the summary.
 * @param {(entries: Map<string, Entry>) => void} props.onSend
 * @param {(name: string) => void} props.onEdit
 * @param {() => void} props.onClear
 */
export function RecordForm({ fields, busy, errors, attempt, onSend, onEdit, onClear }) {
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const control = (/** @type {number} */ index) =>
    /** @type {HTMLInputElement | null} */ (form.current?.elements.namedItem(idOf(index)) ?? null);
  const send = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!busy) onSend(new Map(fields.map((field, index) => [field.name, entryOf(control(index))])));
  };
  const clear = () => {
    form.current?.reset();
    onClear();
    control(0)?.focus();
  };
  const optional = fields.some((field) => !field.required);
  return html`
    <form ref=${form} novalidate onSubmit=${send} aria-labelledby="form-title">
      <${Summary}
        fields=${fields}
        errors=${errors}
        attempt=${attempt}
        onJump=${(/** @type {number} */ index) => control(index)?.focus()}
      />
      <p class="note">
        ${optional ? html`Fields marked <span class="mark">*</span> are required.` : "All fields are required."}
      </p>
      <div class="fields">
        ${fields.map(
          (field, index) => html`
            <${Control}
              key=${field.name}
              field=${field}
              id=${idOf(index)}
              marked=${optional && field.required}
              error=${errors.get(field.name)}
              onEdit=${() => onEdit(field.name)}
            />
          `,
        )}
      </div>
      <div class="actions">
        <button type="submit" aria-busy=${busy ? "true" : null} aria-disabled=${busy ? "true" : null}>Predict</button>
        <button type="button" class="quiet" onClick=${clear}>Clear</button>
      </div>
    </form>
  `;
}

/** The list of errors above the form, each leading to its field; takes the focus when an attempt was refused. */
function Summary({ fields, errors, attempt, onJump }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (attempt > 0) box.current?.focus();
  }, [attempt]);
  if (errors.size === 0) return null;
  const index = new Map(fields.map((field, position) => [field.name, position]));
  const count = errors.size === 1 ? "One value needs" : `${errors.size} values need`;
  const outdated = [...errors.keys()].some((name) => !index.has(name));
  return html`
    <div class="summary" role="region" aria-labelledby="summary-title" tabindex="-1" ref=${box}>
      <p id="summary-title"><strong>${count} another look</strong></p>
      <ul>
        ${[...errors].map(([name, reason]) => {
          const position = index.get(name);
          const words = `${position === undefined ? name : fields[position].title}: ${reason}`;
          return html`<li key=${name}>
            ${position === undefined && words}
            ${position !== undefined &&
            html`<button type="button" class="link" onClick=${() => onJump(position)}>${words}</button>`}
          </li>`;
        })}
      </ul>
      ${outdated &&
      html`<p class="help">The model may have changed since this page was opened: load the page again.</p>`}
    </div>
  `;
}

/** One label with its control, its help and its error. */
function Control({ field, id, marked, error, onEdit }) {
  const described = [field.help && `${id}-help`, error && `${id}-error`].filter(Boolean).join(" ");
  const shared = {
    id,
    name: id,
    required: field.required,
    "aria-invalid": error ? "true" : null,
    "aria-describedby": described || null,
    onInput: onEdit,
  };
  return html`
    <div class="field">
      <label for=${id}>${field.title}${marked && html`<span class="mark" aria-hidden="true"> *</span>`}</label>
      <${field.kind === "choice" ? Choice : Input} field=${field} shared=${shared} />
      ${error && html`<p class="error" id=${`${id}-error`}>${error}</p>`}
      ${field.help && html`<p class="help" id=${`${id}-help`}>${whole(field.help)}</p>`}
    </div>
  `;
}

/** Help whose moments no line break cuts. */
function whole(/** @type {string} */ help) {
  return help
    .split(/(\d{4}-\d\d-\d\dT\d\d:\d\d\.?)/)
    .map((part, index) => (index % 2 ? html`<span class="uncut">${part}</span>` : part));
}

/** Options go by position, since a category may be any text at all. */
function Choice({ field, shared }) {
  return html`
    <select ...${shared}>
      <option value="">${field.required ? "Choose…" : "Not known"}</option>
      ${field.options.map((option, index) => html`<option key=${index} value=${index}>${String(option)}</option>`)}
    </select>
  `;
}

function Input({ field, shared }) {
  const list = field.kind === "open" ? `${shared.id}-list` : null;
  return html`
    <input ...${shared} ...${attributesOf(field)} list=${list} autocomplete="off" />
    ${list &&
    html`<datalist id=${list}>
      ${field.options.map((option) => html`<option key=${option} value=${option}></option>`)}
    </datalist>`}
  `;
}

function attributesOf({ kind, min, max, step, maxLength }) {
  switch (kind) {
    case "number":
      return {
        type: "number",
        inputmode: step === 1 && (min ?? -1) >= 0 ? "numeric" : "decimal",
        min,
        max,
        step: step ?? "any",
      };
    case "date":
      return { type: "date" };
    case "date-time":
      return { type: "datetime-local" };
    default:
      return { type: "text", maxlength: maxLength };
  }
}

/** @param {number} index */
function idOf(index) {
  return `field-${index}`;
}

/** @param {HTMLInputElement | null} control @returns {Entry} */
function entryOf(control) {
  return { text: control?.value ?? "", bad: control?.validity?.badInput ?? false };
}
