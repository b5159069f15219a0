/**
 * JSON Schema of one record -> fields of a form, and what was typed -> a record. Pure: no DOM, no network.
 * Reads what `GET /models/{m}/schema` answers; anything it does not know is an error, never a guess.
 */

/**
 * @typedef {"number" | "choice" | "open" | "text" | "date" | "date-time" | "moment"} Kind  A moment is a date with or without a time.
 *
 * @typedef {object} Field
 * @property {string} name        The record's key, exactly as the schema spells it; may hold any character.
 * @property {string} title       What the label says.
 * @property {string} help        Description and range in words; may be empty.
 * @property {Kind} kind          `open` suggests values but takes others.
 * @property {boolean} required
 * @property {boolean} nullable   Whether leaving it empty means "not known" and is sent as null.
 * @property {number} [min]       Inclusive.
 * @property {number} [max]       Inclusive.
 * @property {number} [step]      The number must be a multiple of this.
 * @property {number} [maxLength] In characters.
 * @property {string} [pattern]   A regular expression that the text must match.
 * @property {(string | number | boolean)[]} options  Values of a choice, or suggestions of an open field.
 *
 * @typedef {{ text: string, bad: boolean }} Entry  What a control holds; `bad` when the browser could not read it.
 * @typedef {Record<string, string | number | boolean | null>} RecordValue
 */

const DATE = "x-perennial-kind";

/** A schema this form cannot draw. */
export class SchemaError extends Error {}

/**
 * The fields of a form, in the schema's order. The record's id and time are kept for bookkeeping, are not
 * read by the model, and are left out.
 *
 * @param {any} schema
 * @returns {Field[]}
 */
export function fieldsOf(schema) {
  if (schema?.type !== "object" || typeof schema.properties !== "object") {
    throw new SchemaError("The schema does not describe a record.");
  }
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties)
    .filter(([, property]) => !property["x-perennial-role"])
    .map(([name, property]) => field(name, property, required.has(name)));
}

/**
 * What one control holds, as a value or as the reason it cannot be one.
 *
 * @param {Field} field
 * @param {Entry} entry
 * @returns {{ value: string | number | boolean | null } | { error: string }}
 */
export function parse(field, entry) {
  const text = entry.text.trim();
  if (entry.bad) return { error: malformed(field) };
  if (text === "") return field.required ? { error: missing(field) } : { value: null };
  switch (field.kind) {
    case "number":
      return parseNumber(field, text);
    case "choice": {
      const value = field.options[Number(text)];
      return value === undefined ? { error: missing(field) } : { value };
    }
    case "date":
    case "date-time":
      return { value: text };
    case "moment":
      return new RegExp(field.pattern ?? "", "u").test(text) ? { value: text } : { error: malformed(field) };
    default:
      return text.length > (field.maxLength ?? Infinity)
        ? { error: `Use at most ${field.maxLength} characters.` }
        : { value: text };
  }
}

/**
 * All controls at once. Empty optional fields are sent as null where the schema knows null, else left out.
 *
 * @param {Field[]} fields
 * @param {Map<string, Entry>} entries  By field name.
 * @returns {{ record: RecordValue, errors: Map<string, string> }}  The record is complete only without errors.
 */
export function readRecord(fields, entries) {
  /** @type {RecordValue} */
  const record = Object.create(null);
  const errors = new Map();
  for (const each of fields) {
    const result = parse(each, entries.get(each.name) ?? { text: "", bad: false });
    if ("error" in result) errors.set(each.name, result.error);
    else if (result.value !== null || each.nullable) record[each.name] = result.value;
  }
  return { record, errors };
}

/**
 * @param {string} name
 * @param {any} property
 * @param {boolean} required
 * @returns {Field}
 */
function field(name, property, required) {
  const { inner, nullable } = withoutNull(name, property);
  const known = { ...inner, ...property };
  const { format, examples, pattern, maxLength } = known;
  const shape = { ...inner, format, examples, pattern, maxLength, [DATE]: known[DATE] };
  const base = {
    name,
    title: title(name, known.title),
    required: required && !nullable,
    nullable,
    options: [],
    ...kind(name, shape),
  };
  return { ...base, help: help(base, known.description) };
}

/** A given title as it is; a name in snake_case as words; any other name untouched. */
function title(name, given = name) {
  if (given !== name || !/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(name)) return given;
  return name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");
}

/** Takes `null` out of `anyOf`. */
function withoutNull(name, property) {
  if (!Array.isArray(property.anyOf)) return { inner: property, nullable: property.type === "null" };
  const inner = property.anyOf.filter((/** @type {any} */ each) => each.type !== "null");
  if (inner.length !== 1) throw new SchemaError(`The field '${name}' allows several types; this form cannot draw it.`);
  return { inner: inner[0], nullable: inner.length < property.anyOf.length };
}

/** @returns {Partial<Field> & { kind: Kind }} */
function kind(name, shape) {
  if (shape.const !== undefined) return { kind: "choice", options: [shape.const] };
  if (Array.isArray(shape.enum)) return { kind: "choice", options: shape.enum };
  switch (shape.type) {
    case "number":
      return { kind: "number", min: shape.minimum, max: shape.maximum, step: shape.multipleOf };
    case "integer":
      return { kind: "number", min: shape.minimum, max: shape.maximum, step: shape.multipleOf ?? 1 };
    case "boolean":
      return { kind: "choice", options: [true, false] };
    case "string":
      return text(shape);
    default:
      throw new SchemaError(`The field '${name}' is of a type this form cannot draw.`);
  }
}

/** @returns {Partial<Field> & { kind: Kind }} */
function text(shape) {
  if (shape[DATE] === "date") {
    return { kind: "moment", pattern: shape.pattern, maxLength: shape.maxLength };
  }
  if (shape.format === "date" || shape.format === "date-time") return { kind: shape.format };
  const open = Array.isArray(shape.examples) && shape.examples.length > 0;
  return { kind: open ? "open" : "text", options: open ? shape.examples : [], maxLength: shape.maxLength };
}

function help(field, description) {
  const parts = [description, range(field)];
  if (field.kind === "open") parts.push("Other values than those suggested are allowed");
  if (field.kind === "moment") parts.push("YYYY-MM-DD, or with a time: 2026-11-21T08:30");
  if (!field.required) parts.push(field.kind === "choice" ? undefined : "Leave empty if not known");
  return parts
    .filter(Boolean)
    .map((part) => (/[.!?]$/.test(part) ? part : `${part}.`))
    .join(" ");
}

/**
 * The range of a number in words, such as "Whole number, 10 to 100"; empty where there is none.
 *
 * @param {{ kind: string, min?: number, max?: number, step?: number }} field
 */
export function range({ kind, min, max, step }) {
  if (kind !== "number") return "";
  const words = [];
  if (step === 1) words.push("whole number");
  else if (step !== undefined) words.push(`in steps of ${step}`);
  if (min !== undefined && max !== undefined) words.push(`${min} to ${max}`);
  else if (min !== undefined) words.push(`${min} or more`);
  else if (max !== undefined) words.push(`${max} or less`);
  const sentence = words.join(", ");
  return sentence && sentence[0].toUpperCase() + sentence.slice(1);
}

function parseNumber(field, text) {
  const value = Number(text);
  if (!Number.isFinite(value)) return { error: malformed(field) };
  const { min = -Infinity, max = Infinity, step } = field;
  if (value < min || value > max) return { error: bounds(field) };
  if (step !== undefined && !isMultiple(value, step)) {
    return { error: step === 1 ? "Enter a whole number." : `Enter a multiple of ${step}.` };
  }
  return { value };
}

function isMultiple(value, step) {
  const ratio = value / step;
  return (
    Math.abs(ratio - Math.round(ratio)) <= 1e-9 * Math.max(1, Math.abs(ratio)) &&
    (step !== 1 || Number.isInteger(value))
  );
}

function bounds({ min, max }) {
  if (min !== undefined && max !== undefined) return `Enter a number from ${min} to ${max}.`;
  return min !== undefined ? `Enter a number of at least ${min}.` : `Enter a number of at most ${max}.`;
}

function missing(field) {
  return (
    {
      number: "Enter a number.",
      choice: "Choose a value.",
      date: "Enter a date.",
      "date-time": "Enter a date and time.",
      moment: "Enter a date.",
    }[field.kind] ?? "Enter a value."
  );
}

function malformed(field) {
  return (
    {
      number: "Enter a number, such as 12.5.",
      date: "Enter a whole date.",
      "date-time": "Enter a whole date and time.",
      moment: "Enter a date such as 2026-11-21, or with a time: 2026-11-21T08:30.",
    }[field.kind] ?? "Enter a value."
  );
}
