/**
 * Which files this tab has sent, so that loading the page again finds them.
 *
 * A file's id is all it takes to read what came of it, so it is kept where it ends with the tab and is sent nowhere. Not
 * in the address: its fragment stays in the history, and goes along with a link that is copied. Not in localStorage or
 * a cookie: there it would wait for whoever uses this browser next.
 */

/** @typedef {{ id: string, model: string, name: string, size: number, sent: number }} Kept  `sent` in ms since 1970. */

const MOST = 50;
const ID = /^[\w-]{16,128}$/;

/**
 * @param {() => Storage} storage  Reading it throws where the browser lets a site keep nothing; then nothing is kept.
 * @param {string} api             A site may come to ask another API, which knows none of these files.
 */
export function memory(storage, api) {
  const key = `perennial.batches ${api}`;
  const all = () => read(() => storage().getItem(key));
  const write = (/** @type {Kept[]} */ entries) => {
    try {
      storage().setItem(key, JSON.stringify(entries.slice(0, MOST)));
    } catch {
      // The page works without; only loading it again forgets.
    }
  };
  return {
    /** Newest first. */
    all,
    /** @param {Kept} entry */
    keep: (entry) => write([entry, ...all().filter(({ id }) => id !== entry.id)]),
    /** @param {string} id */
    drop: (id) => write(all().filter((each) => each.id !== id)),
  };
}

/** @typedef {ReturnType<typeof memory>} Memory */

/** @param {() => string | null} get @returns {Kept[]} */
function read(get) {
  try {
    const found = JSON.parse(get() ?? "[]");
    return Array.isArray(found) ? found.filter(isKept) : [];
  } catch {
    return [];
  }
}

function isKept(/** @type {any} */ each) {
  return (
    typeof each?.id === "string" &&
    ID.test(each.id) &&
    [each.model, each.name].every((text) => typeof text === "string") &&
    [each.size, each.sent].every((count) => Number.isFinite(count))
  );
}
