/**
 * What a file is, by how it begins: neither its name nor what the browser calls it is asked. Pure.
 */

/**
 * @typedef {object} Looks
 * @property {string} type      Media type; empty where the bytes are of none of these formats.
 * @property {number} pixels    Width times height; 0 where the beginning does not say.
 * @property {boolean} moving   Whether it says of itself that it is an animation. A GIF says so only further on.
 * @property {boolean} markup   Whether it is text such as SVG or HTML.
 */

/** How many bytes `looksOf` wants to see: a photograph's own thumbnail stands before its size. */
export const ENOUGH = 262_144;

const SIGNATURES = [
  ["ffd8ff", "image/jpeg"],
  ["89504e470d0a1a0a", "image/png"],
  ["474946383761", "image/gif"],
  ["474946383961", "image/gif"],
  ["49492a00", "image/tiff"],
  ["4d4d002a", "image/tiff"],
  ["424d", "image/bmp"],
];

/** @param {Uint8Array} start  The first bytes, `ENOUGH` of them where there are so many. @returns {Looks} */
export function looksOf(start) {
  const type = typeOf(start);
  const words = text(start, 0, 512).replace(/^\xef\xbb\xbf/, "").trimStart();
  return {
    type,
    pixels: pixelsOf(type, start),
    moving: isMoving(type, start),
    markup: type === "" && words.startsWith("<"),
  };
}

function typeOf(/** @type {Uint8Array} */ start) {
  if (text(start, 0, 4) === "RIFF" && text(start, 8, 12) === "WEBP") return "image/webp";
  const begun = [...start.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return SIGNATURES.find(([signature]) => begun.startsWith(signature))?.[1] ?? "";
}

/** Latin-1, byte by byte. */
function text(/** @type {Uint8Array} */ start, /** @type {number} */ from, /** @type {number} */ to) {
  return String.fromCharCode(...start.subarray(from, to));
}

/** Asked before a browser decodes: few bytes may be billions of pixels. */
function pixelsOf(/** @type {string} */ type, /** @type {Uint8Array} */ start) {
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  try {
    switch (type) {
      case "image/png":
        return view.getUint32(16) * view.getUint32(20);
      case "image/gif":
        return view.getUint16(6, true) * view.getUint16(8, true);
      case "image/bmp":
        return Math.abs(view.getInt32(18, true) * view.getInt32(22, true));
      case "image/webp":
        return ofWebp(view, text(start, 12, 16));
      case "image/jpeg":
        return ofJpeg(view);
      default:
        return 0;
    }
  } catch (error) {
    if (error instanceof RangeError) return 0;
    throw error;
  }
}

/** RFC 9649. */
function ofWebp(/** @type {DataView} */ view, /** @type {string} */ chunk) {
  const three = (/** @type {number} */ at) => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
  if (chunk === "VP8X") return (1 + three(24)) * (1 + three(27));
  if (chunk === "VP8 ") return (view.getUint16(26, true) & 0x3fff) * (view.getUint16(28, true) & 0x3fff);
  const bits = view.getUint32(21, true);
  return chunk === "VP8L" ? (1 + (bits & 0x3fff)) * (1 + ((bits >> 14) & 0x3fff)) : 0;
}

/** The first frame header (SOF) of a JPEG, behind whatever stands before it. */
function ofJpeg(/** @type {DataView} */ view) {
  for (let at = 2; view.getUint8(at) === 0xff; ) {
    const marker = view.getUint8(at + 1);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return view.getUint16(at + 5) * view.getUint16(at + 7);
    at += marker === 0xff ? 1 : 2 + view.getUint16(at + 2);
  }
  return 0;
}

function isMoving(/** @type {string} */ type, /** @type {Uint8Array} */ start) {
  if (type === "image/webp") return text(start, 12, 16) === "VP8X" && (start[20] & 0x02) !== 0;
  return type === "image/png" && text(start, 33, 4096).split("IDAT")[0].includes("acTL");
}
