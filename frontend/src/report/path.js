/**
 * Which file a report page may open. Pure.
 */

/** `data/<model>/monitor/<run>/<report>.html`, letter by letter: no dots alone, no escapes, nothing else. */
const REPORT =
  /^data\/([a-z][a-z0-9]*(?:-[a-z0-9]+)*)\/monitor\/([A-Za-z0-9][A-Za-z0-9._-]{0,99})\/([A-Za-z0-9][A-Za-z0-9_-]{0,59})\.html$/;

/**
 * The report that an address names, or null for anything but a report of this very site.
 *
 * @param {string} hash  What stands behind the `#`, as it is: an escape makes it no report.
 * @param {string} base  The address of the page.
 * @returns {{ url: string, model: string, run: string, name: string } | null}
 */
export function reportOf(hash, base) {
  const found = REPORT.exec(hash);
  if (!found || found[1].length > 40 || found[2].includes("..")) return null;
  const page = new URL(base);
  const url = new URL(hash, new URL(".", page));
  const folder = page.pathname.slice(0, page.pathname.lastIndexOf("/") + 1);
  if (url.origin !== page.origin || url.pathname !== `${folder}${hash}`) return null;
  return { url: url.href, model: found[1], run: found[2], name: found[3] };
}
