import assert from "node:assert/strict";
import { test } from "node:test";

import { SchemaError, fieldsOf, parse, readRecord } from "../src/schema.js";

const object = (properties, required = Object.keys(properties)) => ({ type: "object", properties, required });
const only = (property, required = true) => fieldsOf(object({ f: property }, required ? ["f"] : []))[0];
const nullable = (inner, more = {}) => only({ anyOf: [inner, { type: "null" }], default: null, ...more }, false);
const typed = (text, bad = false) => ({ text, bad });

test("a number carries its range and says it in words", () => {
  const field = only({
    type: "number",
    minimum: 10,
    maximum: 100,
    multipleOf: 1,
    title: "Age",
    description: "In years",
  });
  assert.deepEqual(
    [field.kind, field.min, field.max, field.step, field.help, field.required],
    ["number", 10, 100, 1, "In years. Whole number, 10 to 100.", true],
  );
  assert.equal(only({ type: "number", minimum: 0 }).help, "0 or more.");
  assert.equal(only({ type: "number", maximum: 0 }).help, "0 or less.");
  assert.equal(only({ type: "number", multipleOf: 0.25 }).help, "In steps of 0.25.");
  assert.equal(only({ type: "number" }).help, "");
});

test("numbers are read as JavaScript reads them, within their range", () => {
  const field = only({ type: "number", minimum: -5, maximum: 100 });
  for (const [text, value] of [
    ["-5", -5],
    ["100", 100],
    ["1e1", 10],
    [" 12.5 ", 12.5],
    ["0", 0],
  ]) {
    assert.deepEqual(parse(field, typed(text)), { value });
  }
  for (const text of ["-5.1", "101", "abc", "1,5", "Infinity", "NaN", "1e999", "--1"]) {
    assert.ok("error" in parse(field, typed(text)), text);
  }
  assert.deepEqual(parse(field, typed("", true)), { error: "Enter a number, such as 12.5." });
});

test("whole numbers stay whole", () => {
  const field = only({ type: "number", multipleOf: 1 });
  assert.deepEqual(parse(field, typed("3.0")), { value: 3 });
  assert.deepEqual(parse(field, typed("3.0000000001")), { error: "Enter a whole number." });
});

test("steps allow for binary fractions", () => {
  const field = only({ type: "number", multipleOf: 0.1 });
  assert.deepEqual(parse(field, typed("0.3")), { value: 0.3 });
  assert.deepEqual(parse(field, typed("0.35")), { error: "Enter a multiple of 0.1." });
});

test("a choice goes by position, so that a value may be anything", () => {
  const field = only({ type: "string", enum: ["", "<b>", "0", "'5-6 hours'"] });
  assert.equal(field.kind, "choice");
  assert.deepEqual(parse(field, typed("0")), { value: "" });
  assert.deepEqual(parse(field, typed("3")), { value: "'5-6 hours'" });
  assert.deepEqual(parse(field, typed("")), { error: "Choose a value." });
  assert.deepEqual(parse(field, typed("9")), { error: "Choose a value." });
  assert.deepEqual(only({ const: "x", type: "string" }).options, ["x"]);
});

test("suggestions do not bind", () => {
  const field = only({ type: "string", examples: ["Pune", "Goa"], maxLength: 5 });
  assert.deepEqual([field.kind, field.options], ["open", ["Pune", "Goa"]]);
  assert.deepEqual(parse(field, typed(" Oslo ")), { value: "Oslo" });
  assert.deepEqual(parse(field, typed("Bergen")), { error: "Use at most 5 characters." });
  assert.deepEqual(parse(field, typed("   ")), { error: "Enter a value." });
});

test("empty and optional means not known", () => {
  for (const inner of [{ type: "number", minimum: 1 }, { type: "string", enum: ["a"] }, { type: "string" }]) {
    const field = nullable(inner);
    assert.equal(field.required, false);
    assert.deepEqual(parse(field, typed("")), { value: null });
  }
  assert.match(nullable({ type: "number" }).help, /Leave empty if not known\./);
});

test("hints beside anyOf count as those inside", () => {
  assert.equal(nullable({ type: "string", maxLength: 40 }, { format: "date-time" }).kind, "date-time");
  assert.deepEqual(nullable({ type: "string" }, { examples: ["a"] }).options, ["a"]);
  assert.equal(nullable({ type: "number" }, { title: "Hours" }).title, "Hours");
});

test("dates ask for all of a date", () => {
  const field = only({ type: "string", format: "date-time" });
  assert.deepEqual(parse(field, typed("2026-11-21T08:30")), { value: "2026-11-21T08:30" });
  assert.deepEqual(parse(field, typed("", true)), { error: "Enter a whole date and time." });
  assert.deepEqual(parse(only({ type: "string", format: "date" }), typed("")), { error: "Enter a date." });
});

test("a date may come with or without its time", () => {
  const pattern =
    "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([T ]([01][0-9]|2[0-3]):[0-5][0-9]" +
    "(:[0-5][0-9](\\.[0-9]{1,6})?)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?)?$";
  const examples = ["2026-11-21", "2026-11-21T08:30"];
  const date = { type: "string", maxLength: 40, pattern, examples, "x-perennial-kind": "date" };
  const { maxLength, ...hints } = date;
  const beside = nullable({ type: "string", maxLength }, hints);
  for (const field of [only(date), nullable(date), beside]) {
    assert.deepEqual([field.kind, field.maxLength, field.options], ["moment", 40, []]);
    assert.match(field.help, /^YYYY-MM-DD, or with a time: 2026-11-21T08:30\./);
    for (const text of [...examples, "2026-11-21 08:30:15", "2026-11-21T08:30:00+01:00"]) {
      assert.deepEqual(parse(field, typed(text)), { value: text });
    }
    for (const text of ["21.11.2026", "2026-11", "2026-13-01", "2026-11-21T", "2026-11-21T8:30", "yesterday"]) {
      assert.match(parse(field, typed(text)).error, /^Enter a date such as 2026-11-21/);
    }
  }
  assert.deepEqual(parse(only(date), typed("")), { error: "Enter a date." });
  assert.deepEqual(parse(nullable(date), typed("")), { value: null });
});

test("names in snake case read as words, others stay, given titles win", () => {
  const titles = fieldsOf(
    object({ petal_width: { type: "number" }, "Work/Study Hours": { type: "number" }, a_B: { type: "number" } }),
  );
  assert.deepEqual(
    titles.map((each) => each.title),
    ["Petal width", "Work/Study Hours", "a_B"],
  );
  assert.equal(only({ type: "number", title: "petal_width" }).title, "petal_width");
});

test("the record's id and time are left out", () => {
  const id = { anyOf: [{ type: "string" }, { type: "integer" }, { type: "null" }], "x-perennial-role": "id" };
  assert.deepEqual(
    fieldsOf(object({ id, a: { type: "number" } })).map((each) => each.name),
    ["a"],
  );
});

test("what cannot be drawn is an error that names the field", () => {
  for (const property of [{ type: "array" }, {}, { anyOf: [{ type: "string" }, { type: "number" }] }]) {
    assert.throws(
      () => only(property),
      (error) => error instanceof SchemaError && error.message.includes("'f'"),
    );
  }
  for (const schema of [null, {}, { type: "array" }, { type: "object" }])
    assert.throws(() => fieldsOf(schema), SchemaError);
});

test("a record holds every field under its own name", () => {
  const names = ["__proto__", "constructor", "a.b[0]", "Have you ever had suicidal thoughts ?", ""];
  const properties = Object.fromEntries(names.map((name) => [name, { type: "number" }]));
  const fields = fieldsOf(object(properties, names));
  const { record, errors } = readRecord(fields, new Map(names.map((name, index) => [name, typed(String(index))])));
  assert.equal(errors.size, 0);
  assert.equal(
    JSON.stringify(record),
    JSON.stringify(properties, (_, value) => (value.type ? names.findIndex((n) => properties[n] === value) : value)),
  );
  assert.deepEqual(Object.keys(record), names);
});

test("all errors are found at once, and null is sent only where it is legal", () => {
  const fields = fieldsOf(
    object(
      {
        a: { type: "number" },
        b: { type: "number" },
        c: { anyOf: [{ type: "number" }, { type: "null" }] },
        d: { type: "number" },
      },
      ["a", "b"],
    ),
  );
  const empty = readRecord(fields, new Map());
  assert.deepEqual([...empty.errors.keys()], ["a", "b"]);
  const { record } = readRecord(
    fields,
    new Map([
      ["a", typed("1")],
      ["b", typed("2")],
    ]),
  );
  assert.deepEqual({ ...record }, { a: 1, b: 2, c: null });
});
