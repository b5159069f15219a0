import assert from "node:assert/strict";
import { test } from "node:test";

import { settled } from "../src/address.js";

const SITE = "https://site.example/a/index.html";

test("a model asked for as on the page for files stands behind the #", () => {
  const cases = {
    "": "",
    "#iris": "#iris",
    "?other=1": "?other=1",
    "?model=iris": "#iris",
    "?model=no%20such%23": "#no%20such%23",
    "?model=iris&other=1": "?other=1#iris",
    "?model=iris#pets": "#pets",
    "?model=": "",
  };
  for (const [given, left] of Object.entries(cases)) assert.equal(settled(SITE + given), SITE + left, given);
});
