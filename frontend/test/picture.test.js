import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError } from "../src/api.js";
import { nameOf, sized } from "../src/files.js";
import { colorsOf, frameOf, pointsOf, told } from "../src/picture/heat.js";
import { looksOf } from "../src/picture/kinds.js";
import { fitted, formats } from "../src/picture/prepare.js";
import { ask } from "../src/picture/send.js";
import { explainPicture, facts } from "../src/picture/words.js";

const hex = (text) => Uint8Array.from(text.replaceAll(" ", "").match(/../g), (pair) => parseInt(pair, 16));
const ascii = (text) => [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const PNG = `89504e470d0a1a0a 0000000d ${ascii("IHDR")} 00000400 00000300 08020000 00 00000000`;

test("a file is what its bytes say", () => {
  const cases = {
    [PNG]: ["image/png", 1024 * 768],
    "ffd8 ffe1 0004 0000 ffdb 0003 00 ffc2 0011 08 0300 0400 03": ["image/jpeg", 768 * 1024],
    [`${ascii("GIF89a")} 0a00 1400`]: ["image/gif", 200],
    [`${ascii("BM")} ${"00".repeat(16)} 0a000000 ecffffff`]: ["image/bmp", 200],
    [`${ascii("RIFF")} 00000000 ${ascii("WEBPVP8X")} 0a000000 00000000 090000 130000`]: ["image/webp", 200],
    [`${ascii("RIFF")} 00000000 ${ascii("WEBPVP8 ")} 0a000000 000000 9d012a 0a00 1400`]: ["image/webp", 200],
    [`${ascii("RIFF")} 00000000 ${ascii("WEBPVP8L")} 0a000000 2f 09c00400 00`]: ["image/webp", 200],
    "49492a00 08000000": ["image/tiff", 0],
    "4d4d002a 00000008": ["image/tiff", 0],
    "ffd8 ffe0 0010": ["image/jpeg", 0],
    "ffd8 ffff ffff": ["image/jpeg", 0],
    "89504e470d0a1a0a": ["image/png", 0],
    [ascii("%PDF-1.7")]: ["", 0],
    "": ["", 0],
  };
  for (const [bytes, [type, pixels]] of Object.entries(cases)) {
    const looks = looksOf(bytes ? hex(bytes) : new Uint8Array());
    assert.deepEqual([looks.type, looks.pixels, looks.moving, looks.markup], [type, pixels, false, false], bytes);
  }
});

test("animations and markup are told from pictures", () => {
  const webp = `${ascii("RIFF")} 00000000 ${ascii("WEBPVP8X")} 0a000000 02000000 090000 130000`;
  assert.equal(looksOf(hex(webp)).moving, true);
  assert.equal(looksOf(hex(`${PNG} 00000008 ${ascii("acTL")} 00 ${ascii("IDAT")}`)).moving, true);
  assert.equal(looksOf(hex(`${PNG} 00000008 ${ascii("IDAT")} ${ascii("acTL")}`)).moving, false);
  for (const text of ['<svg xmlns="x">', "\ufeff\n <?xml?>", "<!doctype html>"]) {
    assert.equal(looksOf(new TextEncoder().encode(text)).markup, true, text);
  }
});

test("a picture is made smaller in its own proportion, and never larger", () => {
  assert.deepEqual(fitted(4000, 3000, 1024), { width: 1024, height: 768 });
  assert.deepEqual(fitted(3000, 4000, 1024), { width: 768, height: 1024 });
  assert.deepEqual(fitted(640, 480, 1024), { width: 640, height: 480 });
  assert.deepEqual(fitted(100_000, 8, 1024), { width: 1024, height: 1 });
});

test("formats are listed by their names", () => {
  assert.equal(formats(["image/webp", "image/png", "image/jpeg", "image/new"].slice(0, 3)), "JPEG, PNG or WebP");
});

test("sizes in the API's sentences are put as a reader knows them", () => {
  assert.equal(sized("has 4,500,001 bytes, of at most 4500000 bytes"), "has 4.5 MB, of at most 4.5 MB");
});

test("a name does not turn the words after it around", () => {
  assert.equal(nameOf(new File([], "a\u202egnp.\u2066exe\u200f")), "agnp.exe");
  assert.equal(nameOf(new File([], "写真 – été 👩‍🔬.jpg")), "写真 – été 👩‍🔬.jpg");
});

test("the frame of a model is found in the picture", () => {
  assert.deepEqual(frameOf("stretch", 400, 300), { x: 0, y: 0, width: 400, height: 300 });
  assert.deepEqual(frameOf("crop", 400, 300), { x: 50, y: 0, width: 300, height: 300 });
  assert.deepEqual(frameOf("pad", 400, 300), { x: 0, y: -50, width: 400, height: 400 });
});

test("the stronger the drop, the stronger its colour; faint ones stay faint", () => {
  const colors = colorsOf([
    [0.5, -0.25],
    [0, 0.05],
  ]);
  assert.equal(colors.length, 16);
  assert.deepEqual([colors[3], colors[7], colors[11], colors[15]], [190, 95, 0, 19]);
  assert.ok(colors[0] > colors[2] && colors[6] > colors[4]);
  assert.ok(colorsOf([[0.001, 0]])[3] < 15);
});

test("what a heat map shows is told in words and figures", () => {
  const drops = Array.from({ length: 8 }, () => Array(8).fill(0));
  assert.match(told({ class: "dog", drops }), /^Covering any one part changes little/);
  drops[0][7] = 0.314;
  assert.match(told({ class: "dog", drops }), /at the top right: .* probability of dog falls by 31 percentage points\.$/);
  drops[4][4] = 0.5;
  drops[7][0] = -0.0001;
  assert.match(told({ class: "dog", drops }), /at the middle: /);
  assert.deepEqual(pointsOf(drops)[4].slice(0, 5), ["0.0", "0.0", "0.0", "0.0", "50.0"]);
  assert.equal(pointsOf(drops)[7][0], "0.0");
  assert.equal(pointsOf([[-0.123]])[0][0], "−12.3");
});

test("a place is named only where it stands out", () => {
  const drops = Array.from({ length: 8 }, () => Array(8).fill(0));
  drops[0][7] = 0.5;
  drops[1][6] = 0.49;
  drops[7][0] = 0.39;
  assert.match(told({ class: "dog", drops }), /^It looked most at the top right: .* falls by 50 percentage points\.$/);
  drops[7][0] = 0.4;
  const words = told({ class: "dog", drops });
  assert.match(words, /^It looked at several places, .* probability of dog falls by at most 50 percentage points\.$/);
  assert.doesNotMatch(words, /top|right|bottom|left|middle/);
  drops[7][0] = -0.5;
  assert.match(told({ class: "dog", drops }), /most at the top right/);
  assert.match(told({ class: "dog", drops: [[0.5]] }), /most at the middle/);
});

test("each refusal of a picture says what happened and what to do", () => {
  const told = (status, more = {}) => explainPicture(new ApiError(more.kind ?? "refused", { status, ...more }));
  assert.deepEqual(told(413, { detail: "It has 5000000 bytes. Send a smaller one." }), {
    title: "The picture is too large.",
    advice: "It has 5 MB. Send a smaller one.",
    again: false,
  });
  assert.match(told(415).title, /this kind/);
  assert.equal(told(422, { problems: [{ field: "image", reason: "is cut short" }] }).advice, "Is cut short.");
  assert.match(told(503, { kind: "busy", retryAfter: 3 }).advice, /3 seconds/);
  assert.match(told(0, { kind: "network" }).title, /cannot be reached/);
  assert.equal(told(0, { kind: "network" }).again, true);
});

test("what is known of a picture is said, and no more", () => {
  const blob = new Blob(["1234"]);
  assert.equal(facts({ width: 640, height: 480, blob, note: "", shown: {} }), "640 × 480 pixels, 4 bytes.");
  assert.match(facts({ width: 0, height: 0, blob, note: "", shown: null }), /^4 bytes\. This browser cannot show it/);
});

/** A request that does what a test tells it. */
class Call {
  upload = {};
  open(method, url) {
    this.asked = [method, url];
  }
  send(body) {
    this.body = body;
    Call.last = this;
  }
  abort() {
    this.onabort();
  }
  getResponseHeader() {
    return null;
  }
  answer(status, body) {
    this.status = status;
    this.responseText = JSON.stringify(body);
    this.onload();
  }
}

const asking = (more = {}) => {
  const leaving = new AbortController();
  const shares = [];
  const { explain = false, ...ways } = more;
  const options = { explain, onProgress: (share) => shares.push(share) };
  const blob = new Blob(["picture"], { type: "image/png" });
  const answer = ask("http://api/models/m/predict", blob, options, leaving.signal, { request: () => new Call(), ...ways });
  return { answer, shares, leaving, call: Call.last };
};

test("a picture goes in the field the API reads, without its name", async () => {
  const { answer, shares, call } = asking();
  call.upload.onprogress({ lengthComputable: true, loaded: 1, total: 4 });
  call.answer(200, { prediction: "dog", model: { version: "1" } });
  assert.equal((await answer).prediction, "dog");
  assert.deepEqual(shares, [0.25]);
  assert.deepEqual(call.asked, ["POST", "http://api/models/m/predict"]);
  const [[field, sent]] = [...call.body];
  assert.deepEqual([field, sent.name, sent.type, await sent.text()], ["image", "picture", "image/png", "picture"]);
  const why = asking({ explain: true });
  assert.equal(why.call.asked[1], "http://api/models/m/predict?explain=1");
  why.call.answer(200, { prediction: "dog", model: {}, explanation: { class: "dog", drops: [[0]] } });
  assert.deepEqual((await why.answer).explanation.drops, [[0]]);
});

test("what ends a call is told apart", async () => {
  const refused = asking();
  refused.call.answer(415, { detail: "no" });
  await assert.rejects(refused.answer, { kind: "refused", status: 415 });
  const broken = asking();
  broken.call.onerror();
  await assert.rejects(broken.answer, { kind: "network" });
  await assert.rejects(asking({ stall: 20 }).answer, { kind: "timeout" });
  const left = asking();
  left.leaving.abort();
  await assert.rejects(left.answer, { name: "AbortError" });
  const odd = asking();
  odd.call.answer(200, { hello: 1 });
  await assert.rejects(odd.answer, { kind: "broken" });
});
